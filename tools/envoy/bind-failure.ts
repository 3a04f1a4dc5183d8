/** Envoy could not listen at an address: reports the address, and what already listens there if the system shows it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { BlockList, isIPv6 } from "node:net";
import { basename, dirname } from "node:path";
import { ENVOY_FOLDER_PREFIX } from "./process.ts";

export interface BindFailure {
  /** In Envoy's format: `IP:PORT`, an IPv6 in brackets. */
  address: string;
  /** Follows the address: `is in use by nginx (process 4711)`. */
  reason: string;
}

/**
 * @param complaint Envoy's log of its start or of a configuration
 * @returns undefined if it is about something else
 */
export function bindFailure(complaint: string): BindFailure | undefined {
  const [, address, reason = ""] = /cannot bind '([^']+)': ([^`\n]*)/.exec(complaint) ?? [];
  if (address === undefined) return undefined;
  if (!/address already in use/i.test(reason))
    return { address, reason: `cannot be listened on (${reason})` };
  const holder = holderOf(address);
  return { address, reason: holder === undefined ? "is in use" : `is in use by ${holder}` };
}

/**
 * What listens at an address. Only on Linux, where /proc shows it, but not for another user's process unless we are
 * root.
 */
function holderOf(address: string): string | undefined {
  try {
    const sockets = listeningSockets(address);
    const pid = sockets.size === 0 ? undefined : ownerOf(sockets);
    return pid === undefined ? undefined : describe(pid);
  } catch {
    // No /proc here, or the process has just ended.
    return undefined;
  }
}

/**
 * The inodes of sockets that block the address (proc_net_tcp(5)): those at the address itself, else those at any
 * address of its family, else those at any address of either.
 */
function listeningSockets(address: string): Set<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(address.slice(colon + 1));
  const family = isIPv6(host) ? "ipv6" : "ipv4";
  const wanted = new BlockList();
  wanted.addAddress(host, family);
  const tables = family === "ipv4" ? ["tcp", "tcp6"] : ["tcp6"];
  const ranks = tables.flatMap((table) => {
    const sockets = listening(table, port);
    const isOwn = ({ local }: Socket) =>
      isUnspecified(host) || wanted.check(local, table === "tcp" ? "ipv4" : "ipv6");
    return [sockets.filter(isOwn), sockets.filter(({ local }) => isUnspecified(local))];
  });
  const first = ranks.find((sockets) => sockets.length > 0) ?? [];
  return new Set(first.map(({ inode }) => `socket:[${inode}]`));
}

interface Socket {
  /** The address that it listens at. */
  local: string;
  inode: string;
}

/** The sockets of a kernel's table that listen at a port. */
function listening(table: string, port: number): Socket[] {
  const [, ...lines] = readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n");
  return lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const [hex = "", portHex = ""] = local.split(":");
    const matches = state === LISTEN && Number.parseInt(portHex, 16) === port;
    return matches ? [{ local: addressOf(hex), inode }] : [];
  });
}

/** The state of a socket that listens, in the kernel's tables. */
const LISTEN = "0A";

/** Whether it means every address: `0.0.0.0`, `::`. */
function isUnspecified(address: string): boolean {
  return /^[0.:]+$/.test(address);
}

/** The kernel writes an address as words of 32 bits, each in this machine's order of bytes (little-endian). */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join(".");
  return (bytes.join("").match(/.{4}/g) ?? []).join(":");
}

/** The first process that has one of these sockets open. */
function ownerOf(sockets: ReadonlySet<string>): number | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const folder = `/proc/${pid}/fd`;
      if (readdirSync(folder).some((name) => sockets.has(linkOf(`${folder}/${name}`)))) return Number(pid);
    } catch {
      // Another user's, or it has just ended.
    }
  }
  return undefined;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** A process by its name and number; for an Envoy that this tool started, the number of the process to end. */
function describe(pid: number): string {
  const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  const configFile = args[args.indexOf("--config-path") + 1] ?? "";
  if (basename(dirname(configFile)).startsWith(ENVOY_FOLDER_PREFIX)) {
    // The name, in brackets, may contain anything; the parent is the second field after it (proc_pid_stat(5)).
    const [, parent] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return `another jwtgate (process ${parent})`;
  }
  return `${basename(readlinkSync(`/proc/${pid}/exe`))} (process ${pid})`;
}
