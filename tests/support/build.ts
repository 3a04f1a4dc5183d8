/** Before any test: builds what the tests run from the sources. */
import { spawnSync } from "node:child_process";

export default function build(): void {
  const { status } = spawnSync(process.execPath, ["scripts/build.mjs", "--quiet", "--if-stale"], {
    stdio: "inherit",
    cwd: new URL("../..", import.meta.url),
  });
  if (status !== 0) throw new Error("the build failed");
}
