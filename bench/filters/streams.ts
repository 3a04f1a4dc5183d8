/** … and has a callback at each request's beginning and end. */
export { malloc } from "./host";
export { proxy_abi_version_0_2_1, proxy_on_request_headers } from "./empty";

export function proxy_on_context_create(contextId: u32, rootContextId: u32): void {}

export function proxy_on_delete(contextId: u32): void {}
