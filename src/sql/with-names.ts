import { SqlError } from './sql-error.ts';

/** A name that a WITH defines. */
interface WithName {
  /** As an engine reads it that takes the case in quotes literally. */
  exact: string;
  /** Whether a query names it. */
  isUsed: boolean;
}

/** A name in a query. `folded`: in lower case; `at`: its index in the text. */
export interface WrittenName {
  folded: string;
  exact: string;
  at: number;
}

/** The names that the WITHs around a place of a query define, the innermost last. */
export class WithNames {
  readonly #scopes: Map<string, WithName>[] = [];

  /** Runs `read` in a scope of its own. */
  within(read: () => void): void {
    this.#scopes.push(new Map());
    read();
    this.#scopes.pop();
  }

  /** Defines a name in the innermost scope. Throws `SqlError` when the scope has it. */
  define({ folded, exact, at }: WrittenName): void {
    const scope = this.#scopes.at(-1)!;
    if (scope.has(folded)) {
      const hint = 'Give each query of a WITH another name.';
      throw new SqlError(`WITH: expected a new name, got ${JSON.stringify(folded)} again`, { at, hint });
    }
    scope.set(folded, { exact, isUsed: false });
  }

  /** Whether a query of the innermost scope names one of its names. */
  get isUsed(): boolean {
    return [...this.#scopes.at(-1)!.values()].some(name => name.isUsed);
  }

  /**
   * Whether a WITH defines this name. Throws `SqlError` when it does in another case, because then one engine reads the
   * WITH and another a table.
   */
  has({ folded, exact, at }: WrittenName): boolean {
    const found = this.#scopes.findLast(scope => scope.has(folded))?.get(folded);
    if (found === undefined) return false;
    if (found.exact !== exact) {
      const hint = 'Engines differ in whether names in double quotes ignore case.';
      const [wanted, got] = [found.exact, exact].map(name => JSON.stringify(name));
      throw new SqlError(`query: expected the name ${wanted} as its WITH writes it, got ${got}`, { at, hint });
    }
    found.isUsed = true;
    return true;
  }
}
