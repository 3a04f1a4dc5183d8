/** Starts requests, and resumes those that waited for keys from the beginning. */
import { nowMilliseconds } from "./abi/clock";
import { continueRequest, setEffectiveContext } from "./abi/stream-control";
import { Verdict } from "./answer";
import { Authentication } from "./authn/authentication";
import { RemoteJwks } from "./authn/remote-jwks";
import { Waiting } from "./authn/waiting-list";
import { Plugin } from "./plugin";
import { handleRequest } from "./stream";

/** How often one request may wait: for its first keys, for a fetch in flight, and for a fetch of its own. */
const MAX_WAITS: i32 = 3;

const authentication = new Authentication();

/** Handles the headers of a new stream, which is the effective context. @returns what the host does with the request */
export function beginRequest(plugin: Plugin, streamId: u32): Verdict {
  plugin.waiting.beginCallback();
  return advance(plugin, streamId, 0, 0);
}

/**
 * Resumes due requests, the oldest first, as many as one callback may: their keys have come or their time is over.
 *
 * @param now milliseconds since 1970
 */
export function resumeWaiting(plugin: Plugin, now: u64): void {
  const waiting = plugin.waiting;
  waiting.beginCallback();
  for (let entry: Waiting | null = waiting.takeDue(now); entry; entry = waiting.takeDue(now)) {
    resume(plugin, entry.streamId, entry.deadline, entry.deadline <= now ? MAX_WAITS : entry.waits);
  }
}

function resume(plugin: Plugin, streamId: u32, deadline: u64, waits: i32): void {
  // The stream has already ended.
  if (!setEffectiveContext(streamId)) return;
  if (advance(plugin, streamId, deadline, waits) == Verdict.Continue) continueRequest();
}

/**
 * @param deadline when the request's wait ends, in milliseconds since 1970; 0 if it has not begun
 * @param waits how many times it has waited
 */
function advance(plugin: Plugin, streamId: u32, deadline: u64, waits: i32): Verdict {
  const mayWait = plugin.mayWait && waits < MAX_WAITS;
  const verdict = handleRequest(plugin, streamId, mayWait, deadline, authentication);
  return verdict == Verdict.Wait ? wait(plugin, streamId, deadline, waits) : verdict;
}

/** Makes the request wait until its keys come or its time is over. Decides at once if there is no room for it. */
function wait(plugin: Plugin, streamId: u32, deadline: u64, waits: i32): Verdict {
  const waiting = plugin.waiting;
  const source = authentication.waitsFor as RemoteJwks;
  const until = deadline != 0 ? deadline : nowMilliseconds() + plugin.maxWait;
  if (!waiting.add(streamId, until, source, authentication.waitsForKid, waits + 1)) {
    return advance(plugin, streamId, deadline, MAX_WAITS);
  }
  for (let other: Waiting | null = waiting.nextDisplaced(); other; other = waiting.nextDisplaced()) {
    resume(plugin, other.streamId, other.deadline, MAX_WAITS);
  }
  return Verdict.StopAllIterationAndWatermark;
}
