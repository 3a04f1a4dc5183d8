/**
 * Lets a worker's event loop turn after each test. Tests that run the tool wait for it synchronously; a file of many such
 * tests would keep Vitest's own messages waiting for more than the minute that it gives them.
 */
import { setImmediate } from "node:timers/promises";
import { afterEach } from "vitest";

afterEach(async () => {
  await setImmediate();
});
