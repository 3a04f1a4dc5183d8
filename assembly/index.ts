/**
 * The proxy-wasm ABI surface (0.2.1): only exported callbacks. Envoy skips a callback that is not exported, so empty
 * ones are left out.
 */
import "./abi/abort";
import { allocate, reset } from "./memory/arena";
import { readPluginConfiguration } from "./abi/buffer";
import { nowMilliseconds } from "./abi/clock";
import { lineCount, logError, resetLineCount } from "./abi/log";
import { answerHostFailure } from "./answer";
import { loadPlugin } from "./configuration";
import { Plugin } from "./plugin";
import { beginRequest, resumeWaiting } from "./waiting";

/** Log lines leave garbage. After this many, a tick collects it. */
const LINES_BETWEEN_COLLECTIONS: i32 = 64;

/** A root context: one plugin configuration in this VM. */
class RootContext {
  plugin: Plugin | null = null;

  constructor(readonly id: u32) {}
}

const rootContexts = new Array<RootContext>();

/**
 * The latest stream and its root context. The host creates a stream and passes its headers without a callback in
 * between.
 */
let streamId: u32 = 0;
let streamRoot: RootContext | null = null;

function findRootContext(id: u32): RootContext | null {
  for (let i = 0; i < rootContexts.length; i++) {
    if (unchecked(rootContexts[i]).id == id) return unchecked(rootContexts[i]);
  }
  return null;
}

export function proxy_abi_version_0_2_1(): void {}

/** Allocates memory for what the host returns, in the arena, until the next callback. */
export function malloc(size: usize): usize {
  return allocate(size);
}

export function proxy_on_context_create(contextId: u32, rootContextId: u32): void {
  if (rootContextId == 0) {
    rootContexts.push(new RootContext(contextId));
    return;
  }
  streamId = contextId;
  const last = streamRoot;
  if (!last || last.id != rootContextId) streamRoot = findRootContext(rootContextId);
}

/** Loads the configuration as a whole, or refuses it and keeps the one in force. */
export function proxy_on_configure(rootContextId: u32, size: u32): u32 {
  reset();
  const root = findRootContext(rootContextId);
  if (!root) return 0;
  const isTaken = configure(root, size);
  collectGarbage();
  return isTaken;
}

function configure(root: RootContext, size: u32): u32 {
  const loaded = loadPlugin(readPluginConfiguration(size), root.id);
  const plugin = loaded.plugin;
  if (!plugin) {
    logError(`jwtgate: configuration refused: ${loaded.error}`);
    return 0;
  }
  const previous = root.plugin;
  root.plugin = plugin;
  if (previous) previous.dispose();
  plugin.planTicks(nowMilliseconds(), root.id);
  return 1;
}

export function proxy_on_tick(rootContextId: u32): void {
  reset();
  const root = findRootContext(rootContextId);
  if (!root) return;
  const plugin = root.plugin;
  if (!plugin) return;
  const now = nowMilliseconds();
  plugin.tick(now);
  resumeWaiting(plugin, now);
  plugin.planTicks(now, root.id);
  if (lineCount() >= LINES_BETWEEN_COLLECTIONS) collectGarbage();
}

export function proxy_on_http_call_response(
  rootContextId: u32,
  token: u32,
  headerCount: u32,
  bodySize: u32,
  trailerCount: u32,
): void {
  reset();
  const root = findRootContext(rootContextId);
  if (!root) return;
  const plugin = root.plugin;
  if (!plugin) return;
  const now = nowMilliseconds();
  if (!plugin.receive(token, now, headerCount, bodySize)) return;
  resumeWaiting(plugin, now);
  plugin.planTicks(now, root.id);
  // Collects the document and the keys that it replaced.
  collectGarbage();
}

export function proxy_on_request_headers(contextId: u32, headers: u32, endOfStream: u32): u32 {
  const root = streamRoot;
  if (root && contextId == streamId) {
    const plugin = root.plugin;
    if (plugin) return beginRequest(plugin, contextId);
  }
  return answerHostFailure();
}

/** Handles the end of a stream or of a root context. */
export function proxy_on_delete(contextId: u32): void {
  for (let i = 0; i < rootContexts.length; i++) {
    const root = unchecked(rootContexts[i]);
    if (root.id != contextId) {
      const other = root.plugin;
      if (other) other.waiting.remove(contextId);
      continue;
    }
    rootContexts.splice(i, 1);
    if (streamRoot == root) streamRoot = null;
    const plugin = root.plugin;
    root.plugin = null;
    if (plugin) plugin.dispose();
    collectGarbage();
    return;
  }
}

/** Collects garbage. Called only if no object is held by the stack alone, because the collector does not look there. */
function collectGarbage(): void {
  reset();
  resetLineCount();
  __collect();
}
