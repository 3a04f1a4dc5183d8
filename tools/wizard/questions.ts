/** Asks on a terminal what flags have left open. */
import { createInterface, type Interface } from "node:readline/promises";
import { printable } from "../diagnostics.ts";

/** The answers have ended before the questions did (Ctrl-D, Ctrl-C). */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** What is wrong with an answer, for the person who gave it; undefined: nothing. */
export type Check = (answer: string) => string | undefined;

export class Questions {
  private readonly terminal: Interface;
  private readonly abort = new AbortController();

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream) {
    this.terminal = createInterface({ input, output });
    this.terminal.once("close", () => this.abort.abort());
    this.terminal.once("SIGINT", () => this.terminal.close());
    this.output = output;
  }

  private readonly output: NodeJS.WritableStream;

  /**
   * @param fallback for an empty answer
   * @throws {Interrupted}
   */
  async ask(question: string, fallback: string, check: Check = () => undefined): Promise<string> {
    for (;;) {
      const hint = fallback === "" ? "" : ` [${printable(fallback)}]`;
      const answer = (await this.read(`${question}${hint}: `)).trim() || fallback;
      const fault = check(answer);
      if (fault === undefined) return answer;
      this.output.write(`  ${fault}\n`);
    }
  }

  /** One of several, by its number or its first word. */
  async choose<T extends string>(question: string, choices: readonly (readonly [T, string])[]): Promise<T> {
    const list = choices.map(([, text], index) => `  ${index + 1}  ${text}\n`).join("");
    this.output.write(`${question}\n${list}`);
    const found = (answer: string) =>
      choices[Number(answer) - 1] ?? choices.find(([name]) => name === answer);
    const answer = await this.ask("  which", "1", (text) =>
      found(text) ? undefined : `Write a number from 1 to ${choices.length}.`,
    );
    const [choice] = found(answer) ?? choices[0] ?? [];
    if (choice === undefined) throw new Error("a question has no choices");
    return choice;
  }

  /** Words with commas or spaces between them. */
  async list(question: string): Promise<string[]> {
    return (await this.ask(question, "")).split(/[\s,]+/).filter((word) => word !== "");
  }

  close(): void {
    this.terminal.close();
  }

  private async read(prompt: string): Promise<string> {
    try {
      return await this.terminal.question(prompt, { signal: this.abort.signal });
    } catch {
      this.output.write("\n");
      throw new Interrupted();
    }
  }
}
