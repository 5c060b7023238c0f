import { mkdirSync, rmSync } from 'node:fs';
import { tableNamed } from '../../schemas/index.ts';
import type { SourceStatus } from '../contract/source.ts';
import { type NpmStandIn, startNpmStandIn } from '../sources/npm/stand-in/stand-in.ts';
import { startWhoisStandIn } from '../sources/whois/stand-in/stand-in.ts';
import { isoDay } from '../time.ts';
import { domainSettings, showMonthOn, showVisits, watchDomains } from './demo/domains.ts';
import { follow, type Screen } from './demo/progress.ts';
import { openAtRest, projectedSequence, verdictText } from './demo/proof.ts';
import { type Verdict, verify } from './demo/verify.ts';
import { runProgram } from './program.ts';
import { asTable } from './query/answer-text.ts';
import { type Runtime, startRuntime } from './runtime/runtime.ts';
import { lockState } from './runtime/state-lock.ts';
import { DEMO_STATE_DIR } from './settings.ts';
import { count, tableSums } from './status.ts';

export interface DemoOptions extends Screen {
  stateDir: string;
  /** Changes of made-up names that follow the recorded ones. */
  changes: number;
}

/** The first query that the lake was specified with, as it stands there. */
const FIRST_QUERY = `SELECT name, version, downloads_total, license
FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')
WHERE downloads_total > 1000000
ORDER BY downloads_total DESC
LIMIT 100;`;
/** So many recorded packages have more downloads than the query asks for. */
const FIRST_QUERY_ROWS_MIN = 3;

/** Pace without courtesy: nobody but the replay is asked. */
const FAST = {
  NPM_START: '0',
  NPM_POLL_MS: '200',
  NPM_SETTLE_MS: '0',
  NPM_PAGE_CHANGES: '100',
  NPM_REQUESTS_PER_SECOND: '1000',
  FLUSH_AGE_MS: '500',
};

/** The worker's settings that make it follow a replay as fast as it can. */
export function replaySettings({ feedUrl, registryUrl, downloadsUrl }: NpmStandIn): Record<string, string> {
  const urls = { NPM_FEED_URL: feedUrl, NPM_REGISTRY_URL: registryUrl, NPM_DOWNLOADS_URL: downloadsUrl };
  return { ...FAST, ...urls, ADMIN_TOKEN: 'local', CONTACT: 'demo' };
}

/**
 * Runs the real worker on recorded answers of npm and on made-up registries until all of it is durable, then a month
 * later, and shows that it is. Gives 1 when any of it is off.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { stateDir, signal, write } = options;
  emptyState(stateDir);
  const replay = await startNpmStandIn({ changes: options.changes });
  const registries = await startWhoisStandIn({ day: isoDay(Date.now()) });
  const settings = { ...replaySettings(replay), ...domainSettings(registries), SOURCES: 'npm,whois' };
  const start = (more: Record<string, string>) =>
    startRuntime({ stateDir, port: 0, settings: { ...settings, ...more }, signal });
  try {
    write(`Replaying ${count(replay.rows().length)} recorded changes of npm on this machine; no network is used.\n`);
    const runtime = await start({});
    const verdicts: Verdict[] = [];
    try {
      await watchDomains(runtime, registries, options);
      await followFeed(runtime, replay, options);
      verdicts.push(...(await showPackages(runtime, replay, options)));
      write('Meanwhile the domains were visited, over RDAP or WHOIS.\n');
      const visited = await showVisits(runtime, options);
      // The month is that of the domains: npm, which is paused for it, would have a month to catch up with.
      const restart = (aheadMs: number) => start({ SOURCES: 'whois', CLOCK_AHEAD_MS: String(aheadMs) });
      verdicts.push(...(await showMonthOn(runtime, registries, { screen: options, verdicts: visited, restart })));
    } finally {
      await runtime.stop();
    }
    if (verdicts.some(verdict => !verdict.ok)) return 1;
    write('Go on: npm run sql -- --demo "SELECT name, version, license FROM npm_package LIMIT 10"\n');
    write('       npm run sql -- --demo "SELECT domain, registrar_name, expiry_date FROM whois_record"\n');
    return 0;
  } finally {
    await Promise.all([replay.close(), registries.close()]);
  }
}

/** A demo begins with nothing. Throws when another runs on the folder. */
function emptyState(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true });
  lockState(stateDir, 0).release();
  rmSync(stateDir, { recursive: true });
}

/** Shows progress until the feed's last change is durable. */
async function followFeed(runtime: Runtime, replay: NpmStandIn, screen: Screen): Promise<void> {
  const last = String(replay.updateSeq());
  const total = replay.rows().length;
  await follow(runtime, screen, {
    source: 'npm',
    isDone: ({ cursor, buffer }) => cursor.durable === last && buffer.rows === 0,
    line: (status, seconds) => progressLine(status, { total, seconds }),
  });
}

function progressLine(status: SourceStatus, { total, seconds }: { total: number; seconds: number }): string {
  const { changes } = status.balance;
  const { rows, files } = tableSums(status);
  const rate = changes / Math.max(seconds, 0.001);
  const left = rate > 0 ? `${count(Math.max(0, Math.ceil((total - changes) / rate)))} s left` : 'starting';
  return `  ${count(changes)} of ${count(total)} changes  ${count(rows)} rows durable  ${count(files)} files  ${count(Math.round(rate))} changes/s  ${left}`;
}

/** Prints the first query's answer and the proof. */
async function showPackages(runtime: Runtime, replay: NpmStandIn, { write }: Screen): Promise<Verdict[]> {
  const last = String(replay.updateSeq());
  const lastSequence = await projectedSequence(runtime, { source: 'npm', last });
  const { status, tables } = await openAtRest(runtime, 'npm');
  try {
    const verdicts = await verify({ status, tables, table: tableNamed('npm_package'), lastSequence, last });
    const answer = await tables.query(FIRST_QUERY);
    verdicts.push({
      check: `The first query gives at least ${FIRST_QUERY_ROWS_MIN} rows`,
      ok: answer.rows.length >= FIRST_QUERY_ROWS_MIN,
      found: `${answer.rows.length}`,
    });
    write(`\n${FIRST_QUERY}\n\n${asTable(answer)}\n${verdictText(verdicts)}\n`);
    return verdicts;
  } finally {
    tables.close();
  }
}

if (import.meta.main) {
  await runProgram(signal =>
    runDemo({
      stateDir: DEMO_STATE_DIR,
      changes: 300,
      signal,
      write: text => void process.stdout.write(text),
      isTerminal: process.stdout.isTTY === true,
    }),
  );
}
