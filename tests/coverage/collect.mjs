/**
 * Notes which statements of instrumented modules (instrument.ts) this process runs. `node --import` of this file writes them
 * when the process ends; the setup of Vitest does so after each file of tests.
 */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * How many modules are kept until their counters are read: tests make thousands, each with its own memory.
 */
const KEPT = 64;

const { JWTGATE_COVERAGE_SITES: sites = "0", JWTGATE_COVERAGE_FOLDER: folder = "" } = process.env;
const covered = new Uint8Array(Number(sites));
/** @type {{ memory: WebAssembly.Memory; address: number }[]} */
const instances = [];

/** Notes an instance that has counters. */
function note({ exports }) {
  if (typeof exports.__counters !== "function") return;
  instances.push({ memory: exports.memory, address: exports.__counters() >>> 0 });
  if (instances.length > KEPT) read(instances.shift());
}

function read({ memory, address }) {
  const counters = new Uint32Array(memory.buffer, address, covered.length);
  for (let site = 0; site < covered.length; site++) if (counters[site] !== 0) covered[site] = 1;
}

/** Writes the numbers of the statements that ran. */
export function flush() {
  for (const instance of instances.splice(0)) read(instance);
  const ran = [];
  for (const [site, isCovered] of covered.entries()) if (isCovered !== 0) ran.push(site);
  writeFileSync(join(folder, `${randomUUID()}.json`), JSON.stringify(ran));
}

process.on("exit", flush);
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, args) {
    const instance = Reflect.construct(target, args);
    note(instance);
    return instance;
  },
});
const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (...args) => {
  const result = await instantiate(...args);
  note(result instanceof WebAssembly.Instance ? result : result.instance);
  return result;
};
