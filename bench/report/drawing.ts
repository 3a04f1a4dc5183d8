import type { Report } from "./results.ts";
export function drawing(_: Report): string {
  return "";
}
