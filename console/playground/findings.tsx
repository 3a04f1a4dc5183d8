/** The findings of the compiler and the reviewer on all files, as a list besides the marks in the margin. */
import { formatPosition } from "../../tools/diagnostics.ts";
import { At } from "./answer.tsx";
import { diagnostics, findings } from "./state.ts";

/** More are not read. */
const MAX_SHOWN = 50;

export function Findings() {
  const all = [
    ...diagnostics.value.map((one) => ({ ...one, code: "", remedy: "" })),
    // The reviewer repeats the compiler's warnings.
    ...findings.value.filter(({ code }) => code !== "JG000"),
  ];
  const errors = all.filter(({ severity }) => severity === "error").length;
  return (
    <details class="card" open={errors > 0}>
      <summary>
        {all.length === 0 ? "No finding" : `${all.length} finding${all.length === 1 ? "" : "s"}`}
        {errors > 0 && (
          <span class="bad">
            , {errors} error{errors === 1 ? "" : "s"}
          </span>
        )}
      </summary>
      <ul class="plain">
        {all.slice(0, MAX_SHOWN).map((one) => (
          <li key={`${formatPosition(one)} ${one.code} ${one.message}`}>
            <At at={one} />{" "}
            <b class={one.severity === "error" ? "bad" : "warn"}>{one.code || one.severity}</b> {one.message}
            {one.remedy !== "" && <span class="faint">. {one.remedy}</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}
