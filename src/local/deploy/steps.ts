import { messageOf } from '../../errors.ts';
import type { Outcome } from '../runtime/wrangler.ts';
import { type Account, commandLine, type Given } from './account.ts';
import { hintFor, reasonOf, saysExists } from './failure.ts';

/** Why a step ended, and what a person can do; the hint is null when nothing is known. */
export class StepError extends Error {
  override readonly name = 'StepError';
  readonly hint: string | null;

  constructor(message: string, hint: string | null) {
    super(message);
    this.hint = hint;
  }
}

/** The steps of a deployment, one after the other, and what was done before the one that fails. */
export class Steps {
  readonly #account: Account;
  readonly #tell: StepTeller;
  readonly #done: string[] = [];
  #permission: string | null = null;

  constructor(account: Account, tell: StepTeller) {
    this.#account = account;
    this.#tell = tell;
  }

  /**
   * Does one step, which says in a few words what it came to. `permission` is what it wants of an API token. Throws with
   * the step's name, the reason, a hint where there is one, and what was done before.
   */
  async step(name: string, permission: string | null, work: () => Promise<string> | string): Promise<void> {
    this.#permission = permission;
    this.#tell.begin(name);
    try {
      const result = await work();
      this.#done.push(`${name} (${result})`);
      this.#tell.end(name, result);
    } catch (error) {
      throw new Error(this.#story(name, error), { cause: error });
    }
  }

  /** Names the account that the commands from now on are about. */
  choose(accountId: string): void {
    this.#account.choose(accountId);
  }

  /** Runs a command, and gives what it came to. */
  ask(words: readonly string[], given: Given = {}): Promise<Outcome> {
    return this.#account.run(words, given);
  }

  /** Runs a command that has to succeed, and gives what it wrote. */
  async run(words: readonly string[], given: Given = {}): Promise<string> {
    const outcome = await this.ask(words, given);
    if (outcome.code !== 0) throw this.failure(words, outcome);
    return outcome.output;
  }

  /** Runs a command that makes what is missing. What turns out to be there all the same is left. */
  async make(words: readonly string[]): Promise<'created' | 'found'> {
    const outcome = await this.ask(words, { when: 'where it is missing' });
    if (outcome.code === 0) return 'created';
    if (saysExists(outcome)) return 'found';
    throw this.failure(words, outcome);
  }

  /** A failed command as an error: the command, what it said, and what can be done. */
  failure(words: readonly string[], outcome: Outcome): StepError {
    const reason = reasonOf(outcome);
    return new StepError(`${commandLine(words)}\n${reason}`, hintFor(reason, this.#permission));
  }

  #story(name: string, error: unknown): string {
    const interrupted = (error as Error).name === 'AbortError';
    const reason = interrupted ? 'It was interrupted.' : messageOf(error);
    const hint = error instanceof StepError ? error.hint : null;
    return [
      `${name}: failed`,
      ...reason.split('\n').map(line => `  ${line}`),
      ...(hint === null ? [] : [`Hint: ${hint}`]),
      `Done before it: ${this.#done.join('; ') || 'nothing'}.`,
      'Running it again is safe: what is there is found and left, and it goes on from there.',
    ].join('\n');
  }
}

/** Who is told of the steps. */
export interface StepTeller {
  begin(name: string): void;
  end(name: string, result: string): void;
}
