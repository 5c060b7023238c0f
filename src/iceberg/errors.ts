/** What went wrong with the Iceberg catalog or with what it holds. */
export type CatalogErrorKind =
  /** 401: the token is missing, wrong or expired. */
  | 'unauthorized'
  /** 403: the token lacks a permission. */
  | 'forbidden'
  | 'not-found'
  | 'already-exists'
  /** 409 of a commit: a requirement does not hold, because another commit came first. */
  | 'conflict'
  | 'throttled'
  /** The catalog rejected the request for another reason. */
  | 'refused'
  /** No answer, or one that does not say whether the request was carried out. */
  | 'unanswered'
  /** An answer that no Iceberg catalog gives: HTML, for example, which a gateway before the catalog may give too. */
  | 'not-a-catalog'
  /** The catalog's table differs from the declared one. */
  | 'table-differs'
  /** The table's snapshots and its property name different LSNs, because the table was rolled back. */
  | 'rolled-back'
  /** The data files do not continue the rows of the table. */
  | 'files-broken'
  /** A metadata file of the table is missing or cannot be read. */
  | 'metadata-broken'
  /** Another object lies under the key of a data file's copy. */
  | 'copy-differs';

interface CatalogErrorFacts {
  hint: string;
  status?: number | null;
  retryAfterMs?: number | null;
  /** The catalog may have carried out the request: load the table before sending it again. */
  outcomeUnknown?: boolean;
  /** It is the answer to the request for the catalog's configuration. */
  isConfig?: boolean;
}

/** A failure of the Iceberg catalog, with what a person can do about it. Holds no token and no value of a row. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  readonly kind: CatalogErrorKind;
  readonly hint: string;
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  readonly outcomeUnknown: boolean;
  readonly isConfig: boolean;

  constructor(
    kind: CatalogErrorKind,
    message: string,
    { hint, status = null, retryAfterMs = null, outcomeUnknown = false, isConfig = false }: CatalogErrorFacts,
  ) {
    super(message);
    this.kind = kind;
    this.hint = hint;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.outcomeUnknown = outcomeUnknown;
    this.isConfig = isConfig;
  }
}

/** A metadata file of a table that no writer should have written, or that cannot be read. */
export function brokenMetadata(file: string, expected: string, actual: string): CatalogError {
  return new CatalogError('metadata-broken', `${file}: expected ${expected}, got ${actual}`, {
    hint: 'A program wrote a damaged metadata file: roll the table back to an earlier snapshot.',
  });
}

export const NOT_A_CATALOG_HINT =
  'Check that the URI is that of an Iceberg REST catalog, and that no gateway before it answers with pages of its own.';

/** An answer that no Iceberg REST catalog gives. */
export function notACatalog(
  subject: string,
  { expected, actual, isConfig = false }: { expected: string; actual: string; isConfig?: boolean },
): CatalogError {
  return new CatalogError('not-a-catalog', `${subject}: expected ${expected}, got ${actual}`, {
    hint: NOT_A_CATALOG_HINT,
    isConfig,
  });
}
