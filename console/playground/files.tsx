/** The open files, each with a tab. They come from the disk or from an example, and can be downloaded. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { EXAMPLES } from "./examples.ts";
import { activeName, files, isTestFile, load, put, remove, rename } from "./state.ts";

export function Files() {
  const input = useRef<HTMLInputElement>(null);
  const renameButton = useRef<HTMLButtonElement>(null);
  const [renaming, setRenaming] = useState("");
  const name = activeName.value;
  return (
    <div class="files">
      <nav class="file-tabs" aria-label="Files">
        {files.value.map((file) => (
          <button
            key={file.name}
            type="button"
            aria-current={file.name === name ? "page" : undefined}
            onClick={() => {
              activeName.value = file.name;
            }}
          >
            {file.name}
          </button>
        ))}
      </nav>
      <div class="line">
        <button type="button" onClick={() => add()}>
          New file
        </button>
        <button type="button" onClick={() => input.current?.click()}>
          Open…
        </button>
        <input
          ref={input}
          type="file"
          multiple
          accept=".yaml,.yml,.json"
          aria-label="Files to open"
          hidden
          onChange={(event) => void open(event.currentTarget)}
        />
        <select
          aria-label="Examples"
          value=""
          onChange={(event) => {
            const example = EXAMPLES.find(({ title }) => title === event.currentTarget.value);
            if (example) load(example);
          }}
        >
          <option value="">Examples…</option>
          {EXAMPLES.map(({ title }) => (
            <option key={title}>{title}</option>
          ))}
        </select>
        {name !== "" && (
          <>
            <button
              type="button"
              class="quiet"
              onClick={() => download(name, files.value.find((file) => file.name === name)?.text ?? "")}
            >
              Download
            </button>
            <button ref={renameButton} type="button" class="quiet" onClick={() => setRenaming(name)}>
              Rename
            </button>
            <button type="button" class="quiet" onClick={() => remove(name)}>
              Close
            </button>
          </>
        )}
      </div>
      {renaming !== "" && renaming === name && (
        <Rename
          key={name}
          name={name}
          onEnd={() => {
            setRenaming("");
            renameButton.current?.focus();
          }}
        />
      )}
    </div>
  );
}

/** A form for the new name of a file. */
function Rename({ name, onEnd }: { name: string; onEnd: () => void }) {
  const [typed, setTyped] = useState(name);
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    input.current?.focus();
    input.current?.setSelectionRange(0, name.replace(/(\.test)?\.[^.]*$/, "").length);
  }, [name]);
  const wanted = typed.trim();
  const isTaken = wanted !== name && files.value.some((file) => file.name === wanted);
  const fault =
    wanted === "" ? "Write a name." : isTaken ? "Another file of this page has this name." : undefined;
  return (
    <form
      class="rename"
      onSubmit={(event) => {
        event.preventDefault();
        if (fault !== undefined) return;
        rename(name, wanted);
        onEnd();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") onEnd();
      }}
    >
      <label for="new-name">New name of {name}</label>
      <div class="line">
        <input
          ref={input}
          id="new-name"
          class="grow"
          value={typed}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={fault !== undefined}
          aria-describedby="new-name-hint"
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <button type="submit">Rename it</button>
        <button type="button" class="quiet" onClick={onEnd}>
          Cancel
        </button>
      </div>
      <p id="new-name-hint" class={fault === undefined ? "hint" : "bad"}>
        {fault ?? "Saved requests are in a file whose name ends in .test.yaml."}
      </p>
    </form>
  );
}

function add(): void {
  const name = freeName("policy.yaml");
  put({ name, text: "" });
  activeName.value = name;
}

/** The name, with a number if another file has it. */
export function freeName(name: string): string {
  const taken = new Set(files.value.map((file) => file.name));
  if (!taken.has(name)) return name;
  const [, stem = name, ending = ""] = /^(.*?)((?:\.test)?\.[^.]*)$/.exec(name) ?? [];
  for (let number = 2; ; number++) {
    const other = `${stem}-${number}${ending}`;
    if (!taken.has(other)) return other;
  }
}

/** Opens files from the disk. A test file replaces the open one. */
async function open(input: HTMLInputElement): Promise<void> {
  for (const file of input.files ?? []) {
    const text = await file.text();
    const tests = files.value.find(({ name }) => isTestFile(name));
    if (isTestFile(file.name) && tests) remove(tests.name);
    put({ name: file.name, text });
    activeName.value = file.name;
  }
  input.value = "";
}

/** Downloads a text as a file. */
export function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  link.download = name.slice(name.lastIndexOf("/") + 1);
  link.click();
  URL.revokeObjectURL(link.href);
}
