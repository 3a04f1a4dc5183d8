/** The colours of results: whether they are used, and what they mean. */
import { Option } from "commander";
import picocolors from "picocolors";
import type { Style } from "../diagnostics.ts";

const CHOICES = ["always", "auto", "never"] as const;
export type ColourChoice = (typeof CHOICES)[number];

/** The choice of the command line. */
let choice: ColourChoice = "auto";

/** `--color WHEN` and `--no-color`, which every command accepts. */
export function colourOptions(): Option[] {
  return [
    new Option(
      "--color <when>",
      "colour results; auto: on a terminal, or as FORCE_COLOR and NO_COLOR set",
    ).choices([...CHOICES]),
    new Option("--no-color", "the same as --color never"),
  ];
}

/**
 * @param given the value of the options of `colourOptions`: a choice, false for `--no-color`, undefined if neither was
 *   given
 */
export function chooseColours(given: ColourChoice | boolean | undefined): void {
  if (given === false) choice = "never";
  else choice = CHOICES.find((one) => one === given) ?? "auto";
}

/**
 * Decides by the command line, then by FORCE_COLOR (https://force-color.org, whose example gives it precedence), then
 * by NO_COLOR (https://no-color.org), then by whether a terminal shows the text.
 *
 * @param stream that is written to
 */
export function styleFor({ isTTY = false }: { isTTY?: boolean | undefined }): Style {
  const { green: good, red: bad, dim: faint, bold: strong } = picocolors.createColors(isColoured(isTTY));
  return { good, bad, faint, strong };
}

function isColoured(isTerminal: boolean): boolean {
  if (choice !== "auto") return choice === "always";
  // Both standards treat an empty variable as absent and ignore any other value.
  if (process.env["FORCE_COLOR"]) return true;
  return isTerminal && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}
