/** Options that outputs of the compiler define, for the command line. */
import { Option } from "commander";
import type { TargetOption } from "../targets/target.ts";

export function optionOf({ flags, description, choices, parse }: TargetOption): Option {
  const option = new Option(flags, description);
  if (choices) option.choices(choices);
  if (parse) option.argParser(parse);
  return option;
}
