/**
 * A module that makes the host calls that a request names, and logs their results. The same requests run
 * against the real Envoy and the project's own host (tests/differential/host.test.ts), so that the two can be
 * compared call by call.
 *
 * The header `x-do` holds operations with `|` between them, each a name and its arguments with a space between them.
 * Every operation logs one line: its name, the host's result, and what the host gave, in hexadecimal.
 */

// @ts-expect-error: decorator
@external("env", "proxy_log")
declare function proxy_log(level: i32, text: usize, size: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_header_map_pairs")
declare function proxy_get_header_map_pairs(map: i32, at: usize, size: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_set_header_map_pairs")
declare function proxy_set_header_map_pairs(map: i32, pairs: usize, size: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_header_map_value")
declare function proxy_get_header_map_value(
  map: i32,
  name: usize,
  nameSize: i32,
  at: usize,
  size: usize,
): i32;
// @ts-expect-error: decorator
@external("env", "proxy_add_header_map_value")
declare function proxy_add_header_map_value(
  map: i32,
  name: usize,
  nameSize: i32,
  value: usize,
  size: i32,
): i32;
// @ts-expect-error: decorator
@external("env", "proxy_replace_header_map_value")
declare function proxy_replace_header_map_value(
  map: i32,
  name: usize,
  nameSize: i32,
  value: usize,
  size: i32,
): i32;
// @ts-expect-error: decorator
@external("env", "proxy_remove_header_map_value")
declare function proxy_remove_header_map_value(map: i32, name: usize, nameSize: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_header_map_size")
declare function proxy_get_header_map_size(map: i32, size: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_property")
declare function proxy_get_property(path: usize, pathSize: i32, at: usize, size: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_set_property")
declare function proxy_set_property(path: usize, pathSize: i32, value: usize, size: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_buffer_bytes")
declare function proxy_get_buffer_bytes(buffer: i32, start: i32, length: i32, at: usize, size: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_buffer_status")
declare function proxy_get_buffer_status(buffer: i32, length: usize, flags: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_send_local_response")
declare function proxy_send_local_response(
  status: i32,
  details: usize,
  detailsSize: i32,
  body: usize,
  bodySize: i32,
  headers: usize,
  headersSize: i32,
  grpcStatus: i32,
): i32;
// @ts-expect-error: decorator
@external("env", "proxy_continue_stream")
declare function proxy_continue_stream(stream: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_close_stream")
declare function proxy_close_stream(stream: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_http_call")
declare function proxy_http_call(
  cluster: usize,
  clusterSize: i32,
  headers: usize,
  headersSize: i32,
  body: usize,
  bodySize: i32,
  trailers: usize,
  trailersSize: i32,
  timeout: i32,
  token: usize,
): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_status")
declare function proxy_get_status(code: usize, at: usize, size: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_define_metric")
declare function proxy_define_metric(type: i32, name: usize, nameSize: i32, id: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_increment_metric")
declare function proxy_increment_metric(id: i32, offset: i64): i32;
// @ts-expect-error: decorator
@external("env", "proxy_record_metric")
declare function proxy_record_metric(id: i32, value: i64): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_metric")
declare function proxy_get_metric(id: i32, value: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_get_shared_data")
declare function proxy_get_shared_data(key: usize, keySize: i32, at: usize, size: usize, cas: usize): i32;
// @ts-expect-error: decorator
@external("env", "proxy_set_shared_data")
declare function proxy_set_shared_data(key: usize, keySize: i32, value: usize, size: i32, cas: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_set_effective_context")
declare function proxy_set_effective_context(id: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_set_tick_period_milliseconds")
declare function proxy_set_tick_period_milliseconds(milliseconds: i32): i32;
// @ts-expect-error: decorator
@external("env", "proxy_done")
declare function proxy_done(): i32;
// @ts-expect-error: decorator
@external("env", "proxy_call_foreign_function")
declare function proxy_call_foreign_function(
  name: usize,
  nameSize: i32,
  args: usize,
  argsSize: i32,
  at: usize,
  size: usize,
): i32;
// @ts-expect-error: decorator
@external("env", "proxy_grpc_cancel")
declare function proxy_grpc_cancel(token: i32): i32;
// @ts-expect-error: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(at: usize, size: i32): i32;
// @ts-expect-error: decorator
@external("wasi_snapshot_preview1", "environ_sizes_get")
declare function environ_sizes_get(count: usize, size: usize): i32;

/** Two results of 32 bits (or one of 64), and a third. */
const OUT = memory.data(24, 8);
const INFO = 2;

let rootId: i32 = 0;
/** The stream that asked to be held. */
let held: i32 = 0;
let hold = false;
/** What `proxy_on_done` of the root context returns. */
let finished = true;

function bytes(text: string): ArrayBuffer {
  return String.UTF8.encode(text);
}

function log(text: string): void {
  const message = bytes(text);
  proxy_log(INFO, changetype<usize>(message), message.byteLength);
}

function hex(at: usize, size: i32): string {
  let text = "";
  for (let i = 0; i < size; i++) {
    const byte = load<u8>(at + <usize>i);
    text += (byte < 16 ? "0" : "") + byte.toString(16);
  }
  return text;
}

/** The result of the last call: address and size are in OUT. */
function given(result: i32): string {
  return result == 0 ? `${result} ${hex(load<u32>(OUT), load<u32>(OUT, 4))}` : `${result}`;
}

function pairs(list: string[]): ArrayBuffer {
  const parts = new Array<ArrayBuffer>();
  let size = 4 + 4 * list.length;
  for (let i = 0; i < list.length; i++) {
    const part = bytes(list[i]);
    parts.push(part);
    size += part.byteLength + 1;
  }
  const buffer = new ArrayBuffer(size);
  const start = changetype<usize>(buffer);
  store<u32>(start, list.length / 2);
  let at = start + 4 + 4 * <usize>list.length;
  for (let i = 0; i < list.length; i++) {
    store<u32>(start + 4 + 4 * <usize>i, parts[i].byteLength);
    memory.copy(at, changetype<usize>(parts[i]), parts[i].byteLength);
    at += parts[i].byteLength + 1;
  }
  return buffer;
}

/** One operation; the arguments start at index 1. */
function operate(words: string[]): string {
  const name = words[0];
  const first = bytes(words.length > 1 ? words[1] : "");
  const second = bytes(words.length > 2 ? words[2] : "");
  const third = bytes(words.length > 3 ? words[3] : "");
  const a = changetype<usize>(first);
  const b = changetype<usize>(second);
  const c = changetype<usize>(third);
  const map = words.length > 1 ? <i32>parseInt(words[1]) : 0;
  store<u64>(OUT, 0);

  if (name == "pairs") return given(proxy_get_header_map_pairs(map, OUT, OUT + 4));
  if (name == "set-pairs") {
    const list = pairs(words.slice(2));
    return `${proxy_set_header_map_pairs(map, changetype<usize>(list), list.byteLength)}`;
  }
  if (name == "get") return given(proxy_get_header_map_value(map, b, second.byteLength, OUT, OUT + 4));
  if (name == "add") return `${proxy_add_header_map_value(map, b, second.byteLength, c, third.byteLength)}`;
  if (name == "replace")
    return `${proxy_replace_header_map_value(map, b, second.byteLength, c, third.byteLength)}`;
  if (name == "remove") return `${proxy_remove_header_map_value(map, b, second.byteLength)}`;
  if (name == "map-size") return `${proxy_get_header_map_size(map, OUT)} ${load<u32>(OUT)}`;
  if (name == "property" || name == "set-property") {
    const path = bytes(words[1].split(".").join("\0").split(",").join("."));
    const at = changetype<usize>(path);
    if (name == "property") return given(proxy_get_property(at, path.byteLength, OUT, OUT + 4));
    return `${proxy_set_property(at, path.byteLength, b, second.byteLength)}`;
  }
  if (name == "buffer") {
    return given(proxy_get_buffer_bytes(map, <i32>parseInt(words[2]), <i32>parseInt(words[3]), OUT, OUT + 4));
  }
  if (name == "buffer-status") {
    return `${proxy_get_buffer_status(map, OUT, OUT + 4)} ${load<u32>(OUT)} ${load<u32>(OUT, 4)}`;
  }
  if (name == "local") {
    // local STATUS GRPC-STATUS DETAILS BODY [NAME VALUE …], `_` for a space
    const details = bytes(words[3].split("_").join(" "));
    const body = bytes(words.length > 4 ? words[4].split("_").join(" ") : "");
    const list = pairs(words.slice(5));
    return `${proxy_send_local_response(
      map,
      changetype<usize>(details),
      details.byteLength,
      changetype<usize>(body),
      body.byteLength,
      changetype<usize>(list),
      list.byteLength,
      <i32>parseInt(words[2]),
    )}`;
  }
  if (name == "hold") {
    hold = true;
    return "0";
  }
  if (name == "continue") return `${proxy_continue_stream(map)}`;
  if (name == "close") return `${proxy_close_stream(map)}`;
  if (name == "call") {
    // call CLUSTER PATH TIMEOUT
    const list = pairs([":method", "GET", ":path", words[2], ":authority", "probe"]);
    const nothing = pairs([]);
    const result = proxy_http_call(
      a,
      first.byteLength,
      changetype<usize>(list),
      list.byteLength,
      0,
      0,
      changetype<usize>(nothing),
      nothing.byteLength,
      <i32>parseInt(words[3]),
      OUT,
    );
    return `${result} ${load<u32>(OUT) != 0}`;
  }
  if (name == "status") return `${proxy_get_status(OUT + 8, OUT, OUT + 4)} ${load<u32>(OUT, 8)}`;
  if (name == "metric") {
    // metric TYPE NAME OFFSET VALUE
    const defined = proxy_define_metric(map, b, second.byteLength, OUT + 8);
    const id = load<i32>(OUT, 8);
    const incremented = proxy_increment_metric(id, <i64>parseInt(words[3]));
    const recorded = proxy_record_metric(id, <i64>parseInt(words[4]));
    const got = proxy_get_metric(id, OUT);
    return `${defined} ${incremented} ${recorded} ${got} ${load<u64>(OUT)}`;
  }
  if (name == "store") {
    return `${proxy_set_shared_data(a, first.byteLength, b, second.byteLength, <i32>parseInt(words[3]))}`;
  }
  if (name == "fetch") return given(proxy_get_shared_data(a, first.byteLength, OUT, OUT + 4, OUT + 8));
  if (name == "effective") return `${proxy_set_effective_context(map)}`;
  if (name == "tick") return `${proxy_set_tick_period_milliseconds(map)}`;
  if (name == "done") return `${proxy_done()}`;
  if (name == "foreign")
    return given(proxy_call_foreign_function(a, first.byteLength, b, second.byteLength, OUT, OUT + 4));
  if (name == "grpc") return `${proxy_grpc_cancel(1)}`;
  if (name == "random") return `${random_get(OUT, map)} ${load<u64>(OUT) != 0}`;
  if (name == "environment")
    return `${environ_sizes_get(OUT, OUT + 4)} ${load<u32>(OUT)} ${load<u32>(OUT, 4)}`;
  if (name == "outside") return `${proxy_get_property(0x7fffff00, 0x1000, OUT, OUT + 4)}`;
  if (name == "trap") unreachable();
  if (name == "recurse") return operate(["recurse", words[1]]);
  return "unknown";
}

function run(text: string): void {
  const operations = text.split("|");
  for (let i = 0; i < operations.length; i++) {
    const words = operations[i].split(" ");
    const result = operate(words);
    log(`${words[0]} ${result}`);
  }
}

/** A copy of a header's value. */
function header(map: i32, name: string): string {
  const key = bytes(name);
  if (proxy_get_header_map_value(map, changetype<usize>(key), key.byteLength, OUT, OUT + 4) != 0) return "";
  return String.UTF8.decodeUnsafe(load<u32>(OUT), load<u32>(OUT, 4));
}

export function proxy_abi_version_0_2_1(): void {}

export function malloc(size: i32): usize {
  return heap.alloc(size);
}

export function proxy_on_context_create(id: i32, parent: i32): void {
  if (parent == 0) rootId = id;
}

export function proxy_on_vm_start(_id: i32, _size: i32): i32 {
  return 1;
}

/** The configuration is a list of operations too; `refuse` refuses it, `unfinished` says later that it is not done. */
export function proxy_on_configure(_id: i32, size: i32): i32 {
  if (proxy_get_buffer_bytes(7, 0, size, OUT, OUT + 4) != 0) return 0;
  const text = String.UTF8.decodeUnsafe(load<u32>(OUT), load<u32>(OUT, 4));
  if (text == "refuse") return 0;
  finished = text != "unfinished";
  if (text != "" && finished) run(text);
  return 1;
}

export function proxy_on_request_headers(id: i32, count: i32, end: i32): i32 {
  log(`headers ${count} ${end}`);
  hold = false;
  const operations = header(0, "x-do");
  if (operations != "") run(operations);
  if (hold) held = id;
  return hold ? 1 : 0;
}

export function proxy_on_request_body(_id: i32, size: i32, end: i32): i32 {
  log(`body ${size} ${end} ${given(proxy_get_buffer_bytes(0, 0, size, OUT, OUT + 4))}`);
  return 0;
}

export function proxy_on_tick(_id: i32): void {
  log("tick");
  if (held != 0) run(`effective ${held}|pairs 0|continue 0|pairs 0|tick 0`);
  held = 0;
}

export function proxy_on_http_call_response(
  _id: i32,
  _token: i32,
  headers: i32,
  body: i32,
  trailers: i32,
): void {
  log(`response ${headers != 0} ${body} ${trailers} ${header(6, ":status")}`);
  run(`buffer 4 0 1000|status|effective ${held}|local 200 -1 probe answered`);
  held = 0;
}

export function proxy_on_done(id: i32): i32 {
  log("done");
  return id == rootId && !finished ? 0 : 1;
}

export function proxy_on_log(_id: i32): void {
  log("log");
}

export function proxy_on_delete(_id: i32): void {
  log("delete");
}
