/** A program on a terminal, and a person who reads and types. Python makes the terminal. */
import { spawnSync } from "node:child_process";

const DRIVER = `
import fcntl, json, os, pty, re, select, struct, sys, termios, time
steps, argv = json.loads(sys.argv[1]), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    os.execvp(argv[0], argv)
text, done = "", 0
def read(seconds):
    global text
    if not select.select([fd], [], [], seconds)[0]: return None
    try: chunk = os.read(fd, 65536)
    except OSError: chunk = b""
    text += re.sub(r"\\x1b\\[[0-9;?]*[A-Za-z]", "", chunk.decode("utf8", "replace"))
    return len(chunk)
missing = None
for wanted, keys, *when in steps:
    end = time.time() + 30
    while wanted not in text[done:] and time.time() < end:
        if read(1) == 0: break
    if wanted not in text[done:]:
        missing = wanted
        break
    # A person types when the screen no longer changes, unless it is to change until then.
    while not when and read(0.2): pass
    done = len(text)
    os.write(fd, keys.encode())
if missing is not None: os.write(fd, b"\\x03")
end = time.time() + 30
while read(1) != 0 and time.time() < end: pass
print(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "text": text, "missing": missing}))
`;

export interface TerminalResult {
  status: number;
  /** What the program wrote, without escape sequences. */
  text: string;
  /** What the person waited for without success. */
  missing: string | null;
}

/** The keys of a terminal. */
export const KEY = { enter: "\r", down: "\x1b[B", interrupt: "\x03", clear: "\x15" };

/** What must be on the screen, and what is then typed: when the screen no longer changes, or at once. */
type Step = readonly [wanted: string, keys: string, when?: "at once"];

export function onTerminal(argv: readonly string[], steps: readonly Step[], cwd: string): TerminalResult {
  const { stdout, stderr } = spawnSync("python3", ["-c", DRIVER, JSON.stringify(steps), ...argv], {
    cwd,
    encoding: "utf8",
    timeout: 240_000,
    env: { ...process.env, TERM: "xterm", NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as TerminalResult;
}
