import { ChangeError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';

/** A name that the index takes: ASCII only, whatever the case (PEP 508). */
const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

/** A name in its one form. */
const NORMALIZED = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/**
 * The key of a project: its name in the one form that all its spellings have (PEP 503). A text that is no name stays as it
 * is, because its lower case may be the name of another project: that of the Kelvin sign is `k`.
 */
export function keyOf(name: string): string {
  return NAME.test(name) ? name.toLowerCase().replace(/[-_.]+/g, '-') : name;
}

/** Whether a key is the name of a project in its one form. Such a key needs no encoding in a URL and no escape in SQL. */
export function isProjectKey(key: string): boolean {
  return key.length <= LIMITS.keyBytesMax && NORMALIZED.test(key);
}

/** Throws `key-too-long` or `name-mismatch` for a key that no project can have. */
export function checkKey(key: string): void {
  if (key.length > LIMITS.keyBytesMax)
    throw new ChangeError(
      'key-too-long',
      `pypi project: expected a name of at most ${LIMITS.keyBytesMax} characters, got ${key.length}`,
    );
  if (!NORMALIZED.test(key))
    throw new ChangeError('name-mismatch', 'pypi project: expected the name of a project (PEP 508), got other text');
}
