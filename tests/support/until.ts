import { setTimeout as pause } from "node:timers/promises";

/**
 * Waits until a condition holds by checking it repeatedly: for events without a notification.
 * @param what for the message if it never holds
 */
export async function until<T>(what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await pause(10);
  }
}
