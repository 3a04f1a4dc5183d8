/** … and removes the token from the request. */
import { readClock, readHeaders, removeToken } from "./host";
export { malloc } from "./host";
export { proxy_abi_version_0_2_1 } from "./empty";
export { proxy_on_context_create, proxy_on_delete } from "./streams";

export function proxy_on_request_headers(contextId: u32, headers: u32, endOfStream: u32): u32 {
  readHeaders();
  readClock();
  removeToken();
  return 0;
}
