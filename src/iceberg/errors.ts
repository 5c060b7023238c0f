/** Why the catalog, or what it holds, stands in the way. */
export type CatalogErrorKind =
  /** 401: the token is none, or no longer one. */
  | 'unauthorized'
  /** 403: the token lacks a permission. */
  | 'forbidden'
  | 'not-found'
  | 'already-exists'
  /** 409 of a commit: a requirement does not hold, somebody else was there first. */
  | 'conflict'
  | 'throttled'
  /** Any other refusal of the request. */
  | 'refused'
  /** No answer, or none that says what became of the request. */
  | 'unanswered'
  /** An answer that no Iceberg catalog gives, HTML for example. */
  | 'not-a-catalog'
  /** The table there is not the table declared here. */
  | 'table-differs'
  /** Data files that do not continue what the table holds. */
  | 'files-broken'
  /** A metadata file of the table that cannot be read. */
  | 'metadata-broken'
  /** Where a copy of a data file belongs lies something else. */
  | 'copy-differs';

interface CatalogErrorFacts {
  hint: string;
  status?: number | null;
  retryAfterMs?: number | null;
  /** The request may have been carried out all the same: look before it is repeated. */
  outcomeUnknown?: boolean;
}

/** A failure of the Iceberg catalog, with what a person can do about it. Carries no token and no value of a row. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  readonly kind: CatalogErrorKind;
  readonly hint: string;
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  readonly outcomeUnknown: boolean;

  constructor(
    kind: CatalogErrorKind,
    message: string,
    { hint, status = null, retryAfterMs = null, outcomeUnknown = false }: CatalogErrorFacts,
  ) {
    super(message);
    this.kind = kind;
    this.hint = hint;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.outcomeUnknown = outcomeUnknown;
  }
}

/** A metadata file of a table that says something no writer should have written, or cannot be read at all. */
export function brokenMetadata(file: string, expected: string, actual: string): CatalogError {
  return new CatalogError('metadata-broken', `${file}: expected ${expected}, got ${actual}`, {
    hint: 'Something left a damaged metadata file: roll the table back to an earlier snapshot.',
  });
}
