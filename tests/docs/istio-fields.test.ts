/** The page of Istio's fields has a row for each field that the compiler reads, and for no other. */
import { describe, expect, test } from "vitest";
import { WHEN_KEYS } from "../../tools/istio/attributes.ts";
import { PLACES } from "../../tools/istio/places.ts";
import { readMarkdown } from "./markdown.ts";

/** The names in the first column of the tables under a heading. */
function documented(heading: string, page = "docs/istio-fields.md"): string[] {
  const [, section = ""] = readMarkdown(page).split(new RegExp(`^#+ ${heading}$`, "m"));
  const [body = ""] = section.split(/^#/m);
  const cells = body
    .split("\n")
    .flatMap((line) => (line.startsWith("| `") ? [line.split(" | ")[0] ?? ""] : []));
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)).sort();
}

/** The compiler's fields whose place this is true of. */
function read(isThere: (place: string) => boolean): string[] {
  return Object.entries(PLACES).flatMap(([name, place]) => (isThere(place) ? [name] : []));
}

const isPlaceOfBoth = (place: string) => place === "spec" || place === "spec.selector";

describe("docs/istio-fields.md names exactly the fields", () => {
  test("of both kinds", () => expect(documented("Both kinds")).toEqual(read(isPlaceOfBoth).sort()));
  test("of RequestAuthentication", () => {
    const fields = read((place) => place.endsWith(" RequestAuthentication") || place === "spec.jwtRules[]");
    expect(documented("RequestAuthentication")).toEqual(fields.sort());
  });
  test("of AuthorizationPolicy", () => {
    const places = ["spec.rules[]", "spec.rules[].from[]", "spec.rules[].to[]", "spec.rules[].when[]"];
    const fields = read((place) => place.endsWith(" AuthorizationPolicy") || places.includes(place));
    expect(documented("AuthorizationPolicy")).toEqual(fields.sort());
  });
  test("of TokenPolicy, on its page", () => {
    const fields = ["targetRefs", ...read((place) => place.endsWith(" TokenPolicy"))];
    expect(documented("Fields", "docs/token-policy.md")).toEqual(expect.arrayContaining(fields));
  });
  test("of source", () =>
    expect(documented("source")).toEqual(read((place) => place.endsWith(".source")).sort()));
  test("of operation", () => {
    expect(documented("operation")).toEqual(read((place) => place.endsWith(".operation")).sort());
  });
  test("of when", () => expect(documented("when")).toEqual([...WHEN_KEYS].sort()));
});
