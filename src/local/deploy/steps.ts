import { messageOf } from '../../errors.ts';
import type { Outcome } from '../runtime/wrangler.ts';
import { type Account, type CommandOptions, commandLine } from './account.ts';
import { hintFor, reasonOf, saysExists } from './failure.ts';

/** Why a step failed, and what a person can do; the hint is null when unknown. */
export class DeployStepError extends Error {
  override readonly name = 'DeployStepError';
  readonly hint: string | null;

  constructor(message: string, hint: string | null) {
    super(message);
    this.hint = hint;
  }
}

/** The steps of a deployment, one after the other. Remembers the finished steps for the error of one that fails. */
export class Steps {
  readonly #account: Account;
  readonly #reporter: StepReporter;
  readonly #done: string[] = [];
  #permission: string | null = null;

  constructor(account: Account, reporter: StepReporter) {
    this.#account = account;
    this.#reporter = reporter;
  }

  /**
   * Does one step; `work` gives its result in a few words. `permission` is the one that the step needs of an API token.
   * Throws with the step's name, the reason, a hint where there is one, and the steps done before.
   */
  async step(name: string, permission: string | null, work: () => Promise<string> | string): Promise<void> {
    this.#permission = permission;
    this.#reporter.begin(name);
    try {
      const result = await work();
      this.#done.push(`${name} (${result})`);
      this.#reporter.end(name, result);
    } catch (error) {
      throw new Error(this.#failureText(name, error), { cause: error });
    }
  }

  /** Sets the account of all later commands. */
  choose(accountId: string): void {
    this.#account.choose(accountId);
  }

  /** Runs a command and gives its outcome, also when it failed. */
  tryRun(words: readonly string[], given: CommandOptions = {}): Promise<Outcome> {
    return this.#account.run(words, given);
  }

  /** Runs a command and gives its output. Throws when it fails. */
  async run(words: readonly string[], given: CommandOptions = {}): Promise<string> {
    const outcome = await this.tryRun(words, given);
    if (outcome.code !== 0) throw this.failure(words, outcome);
    return outcome.output;
  }

  /** Runs a create command. Where the thing turns out to exist, it is left unchanged. */
  async make(words: readonly string[]): Promise<'created' | 'found'> {
    const outcome = await this.tryRun(words, { when: 'if it is missing' });
    if (outcome.code === 0) return 'created';
    if (saysExists(outcome)) return 'found';
    throw this.failure(words, outcome);
  }

  /** A failed command as an error: the command, its error text, and what a person can do. */
  failure(words: readonly string[], outcome: Outcome): DeployStepError {
    const reason = reasonOf(outcome);
    return new DeployStepError(`${commandLine(words)}\n${reason}`, hintFor(reason, this.#permission));
  }

  #failureText(name: string, error: unknown): string {
    const interrupted = (error as Error).name === 'AbortError';
    const reason = interrupted ? 'It was interrupted.' : messageOf(error);
    const hint = error instanceof DeployStepError ? error.hint : null;
    return [
      `${name}: failed`,
      ...reason.split('\n').map(line => `  ${line}`),
      ...(hint === null ? [] : [`Hint: ${hint}`]),
      `Done before it: ${this.#done.join('; ') || 'nothing'}.`,
      'Running it again is safe: it finds what exists, leaves it unchanged, and goes on from there.',
    ].join('\n');
  }
}

/** Writes about steps as they begin and end. */
export interface StepReporter {
  begin(name: string): void;
  end(name: string, result: string): void;
}
