/** A line on a terminal that shows the progress of a long command. */

/** How often the line changes, in milliseconds. */
const PERIOD = 100;

export class Progress {
  private last = 0;
  private isShown = false;

  /** @param stream where people watch; anything else than a terminal gets nothing */
  constructor(private readonly stream: NodeJS.WriteStream = process.stderr) {}

  /** Replaces the line, unless it has just changed. */
  show(text: () => string): void {
    const now = performance.now();
    if (!this.stream.isTTY || now - this.last < PERIOD) return;
    this.last = now;
    this.isShown = true;
    this.stream.write(`\r\x1b[K${text()}`);
  }

  /** Removes the line. */
  end(): void {
    if (this.isShown) this.stream.write("\r\x1b[K");
    this.isShown = false;
  }
}
