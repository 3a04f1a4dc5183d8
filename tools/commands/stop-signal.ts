/** Waits for a request to stop a command that serves. */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ctrl-C, a termination signal, a closed terminal, or the end of the parent process. Listens until `forget`. */
export class StopSignal {
  /** Whether it has come. */
  received = false;
  /** Resolves when it comes. */
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
    // npm passes no signal on to a program that it runs through a shell; the new parent process shows that npm has
    // ended.
    this.timer = setInterval(() => process.ppid === this.parent || this.stop(), 500);
    this.timer.unref();
  }

  /** From now on signals have their default effect. */
  forget(): void {
    clearInterval(this.timer);
    for (const name of SIGNALS) process.off(name, this.stop);
  }
}
