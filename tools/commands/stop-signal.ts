/** What asks a serving command to clean up and go. */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ctrl-C, a request to end, a closed terminal, or the end of who started us. Listens until `forget`. */
export class StopSignal {
  /** Whether it has come. */
  received = false;
  /** When it comes. */
  readonly promise: Promise<void>;
  private readonly parent = process.ppid;
  private readonly timer: NodeJS.Timeout;
  private stop: () => void = () => {};

  constructor() {
    this.promise = new Promise((resolve) => {
      this.stop = () => {
        this.received = true;
        resolve();
      };
    });
    for (const name of SIGNALS) process.on(name, this.stop);
    // npm passes no signal on to what it runs through a shell; that it is gone shows in who our parent is.
    this.timer = setInterval(() => process.ppid === this.parent || this.stop(), 500);
    this.timer.unref();
  }

  /** From now on signals do again what they do without us. */
  forget(): void {
    clearInterval(this.timer);
    for (const name of SIGNALS) process.off(name, this.stop);
  }
}
