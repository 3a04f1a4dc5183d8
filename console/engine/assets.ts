/**
 * Loads the workers and the modules, either from files next to the page, or from the page itself if it is one
 * file.
 */

/** What `jwtgate console --export` puts into the page. */
export interface Export {
  /** The workers' scripts. */
  worker: string;
  comparer: string;
  /** The builds of the filter, in base64. */
  modules: { release: string; trace: string };
  policies?: { files: { name: string; text: string }[] };
}

/** The assets of an exported page; undefined if `jwtgate console --export` did not write this page. */
export const exported: Export | undefined = readExport();

function readExport(): Export | undefined {
  const text = document.getElementById("jwtgate-export")?.textContent;
  return text ? (JSON.parse(text) as Export) : undefined;
}

/** The script of a worker: `worker` answers while the user types, `comparer` compares versions of the policies. */
export type Script = "worker" | "comparer";

/** The address of a worker's script. */
export function workerUrl(script: Script): string {
  if (exported === undefined) return `${script}.js`;
  return URL.createObjectURL(new Blob([exported[script]], { type: "text/javascript" }));
}

/**
 * The two builds of the filter, compiled.
 *
 * @throws Error with a message for people; the promise is rejected
 */
export async function loadModules(): Promise<{ release: WebAssembly.Module; trace: WebAssembly.Module }> {
  const [release, trace] = await Promise.all([
    compile("jwtgate.wasm", exported?.modules.release),
    compile("jwtgate.trace.wasm", exported?.modules.trace),
  ]);
  return { release, trace };
}

async function compile(file: string, base64: string | undefined): Promise<WebAssembly.Module> {
  if (base64 !== undefined) return WebAssembly.compile(decode(base64));
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: the server answered ${response.status}`);
  // compileStreaming needs a content type that not every web server sends.
  return WebAssembly.compile(await response.arrayBuffer());
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
