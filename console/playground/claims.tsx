/** A form for claims, each with a name and a value. */
import { useEffect, useRef, useState } from "preact/hooks";

/** A claim as it is typed. */
interface Row {
  name: string;
  value: string;
}

/**
 * @param claims JSON
 * @param onChange receives all claims as JSON after one has changed
 */
export function ClaimsForm({ claims, onChange }: { claims: string; onChange: (claims: string) => void }) {
  const [rows, setRows] = useState(() => rowsOf(claims));
  const written = useRef(claims);
  useEffect(() => {
    // The claims come from elsewhere, such as another example or a saved request.
    if (claims !== written.current) setRows(rowsOf(claims));
    written.current = claims;
  }, [claims]);
  if (rows === undefined) return <p class="bad">The claims are not a JSON object: edit them as JSON.</p>;
  const change = (next: Row[]) => {
    setRows(next);
    written.current = textOf(next);
    onChange(written.current);
  };
  const set = (index: number, more: Partial<Row>) =>
    change(rows.map((row, at) => (at === index ? { ...row, ...more } : row)));
  return (
    <div class="claims">
      {rows.map(({ name, value }, index) => (
        <div key={index} class="line">
          <input
            class="grow"
            aria-label={`Name of claim ${index + 1}`}
            value={name}
            spellcheck={false}
            placeholder="name"
            onInput={(event) => set(index, { name: event.currentTarget.value })}
          />
          <input
            class="grow"
            aria-label={`Value of claim ${index + 1}`}
            value={value}
            spellcheck={false}
            placeholder="text, a number, true, or JSON"
            onInput={(event) => set(index, { value: event.currentTarget.value })}
          />
          <button
            type="button"
            class="quiet"
            aria-label={`Remove claim ${index + 1}`}
            onClick={() => change(rows.filter((_, at) => at !== index))}
          >
            Remove
          </button>
        </div>
      ))}
      <button type="button" onClick={() => setRows([...rows, { name: "", value: "" }])}>
        Add a claim
      </button>
    </div>
  );
}

/** @returns undefined if the text is not a JSON object */
function rowsOf(claims: string): Row[] | undefined {
  try {
    const value: unknown = claims.trim() === "" ? {} : JSON.parse(claims);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.entries(value).map(([name, one]) => ({ name, value: shown(one) }));
  } catch {
    return undefined;
  }
}

/** The rows as JSON, without those whose name is not typed yet. */
function textOf(rows: readonly Row[]): string {
  const named = rows.filter(({ name }) => name !== "");
  return JSON.stringify(Object.fromEntries(named.map(({ name, value }) => [name, read(value)])), null, 2);
}

/** The value of JSON text, or else the text itself as a string. */
function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function shown(value: unknown): string {
  return typeof value === "string" && read(value) === value ? value : JSON.stringify(value);
}
