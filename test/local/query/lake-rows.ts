import { type FileRow, type LakeServer, putDataFile } from './lake-server.ts';

const DAY_MS = 86_400_000;

/**
 * Puts rows into the four tables of the spec's queries: one package and one pattern changed, one package was deleted.
 */
export function putSpecRows(server: LakeServer): void {
  const put = (table: string, firstLsn: number, rows: FileRow[]) => putDataFile(server, { table, firstLsn, rows });
  put('npm_package', 1, [
    { row: { name: 'a', version: '1.0.0', downloads_total: 2_000_000, license: 'MIT' } },
    { row: { name: 'b', version: '1.0.0', downloads_total: 5_000_000 } },
    { row: { name: 'c', version: '1.0.0', downloads_total: 9_007_199_254_740_991 } },
  ]);
  put('npm_package', 4, [
    { row: { name: 'b', version: '2.0.0', downloads_total: 3_000_000, license: 'ISC' } },
    { row: { name: 'c' }, op: 'delete' },
    { row: { name: 'd', description: 'one\nline \u001b[31mred', downloads_total: 5 } },
  ]);
  put('email_pattern', 1, [
    { row: { domain: 'x.com', pattern: 'first', confidence: 0.9, verified: true, sources: 'a,b' } },
    { row: { domain: 'x.com', pattern: 'last', confidence: 0.5, verified: true } },
    { row: { domain: 'x.com', pattern: 'first', confidence: 1, verified: true, sources: 'c' } },
  ]);
  put('github_commit', 1, [
    { row: { sha: '1', repo: 'o/r', github_id: '1', author_email: 'ann@stripe.com' } },
    { row: { sha: '2', repo: 'o/r', github_id: '1', author_email: 'ann@stripe.com' } },
    { row: { sha: '3', repo: 'o/q', github_id: '2', author_email: 'bob@stripe.com' } },
    { row: { sha: '2', repo: 'o/r', github_id: '1', author_email: 'ann@stripe.com', message: 'a second row' } },
    { row: { sha: '4', repo: 'o/r', github_id: '1', author_email: 'eve@example.org' } },
  ]);
  const soon = new Date(Date.now() + 5 * DAY_MS).toISOString();
  put('whois_record', 1, [
    { row: { domain: 'soon.com', registrar_name: 'R', expiry_date: soon } },
    { row: { domain: 'late.com', expiry_date: '2099-01-01T00:00:00.000Z' } },
    { row: { domain: 'unknown.com' } },
  ]);
}

/** The answers of the spec's queries over those rows. */
export const SPEC_ANSWERS = {
  npm: [
    { name: 'b', version: '2.0.0', downloads_total: 3_000_000, license: 'ISC' },
    { name: 'a', version: '1.0.0', downloads_total: 2_000_000, license: 'MIT' },
  ],
  emailPatterns: [{ domain: 'x.com', pattern: 'first', confidence: 1, sources: 'c' }],
  commits: [
    { author_email: 'ann@stripe.com', repo: 'o/r', commit_count: 2 },
    { author_email: 'bob@stripe.com', repo: 'o/q', commit_count: 1 },
  ],
  expiring: [{ domain: 'soon.com', registrar_name: 'R' }],
} as const;
