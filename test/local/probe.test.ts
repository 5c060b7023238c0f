import { afterEach, describe, expect, it, vi } from 'vitest';
import { REQUESTS_MAX } from '../../src/local/probe/permits.ts';
import type { Result } from '../../src/local/probe/report.ts';
import { runProbe } from '../../src/local/probe.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import { templateNames } from '../../src/sources/npm/stand-in/documents.ts';
import { NPM_RECORDINGS, readRecordings } from '../../src/sources/npm/stand-in/recordings.ts';
import { type NpmStandIn, startStandIn as startNpm } from '../../src/sources/npm/stand-in/stand-in.ts';
import { SOURCES } from '../../src/sources/registry.ts';
import type { Examples } from '../../src/sources/stand-in/examples.ts';
import { examples as whoisExamples } from '../../src/sources/whois/stand-in/examples.ts';
import { startStandIn as startWhois, type WhoisStandIn } from '../../src/sources/whois/stand-in/stand-in.ts';

/** Small recorded packages, all with counts and the fields of a whole document. */
const KEYS = ['aws4fetch', 'cookie', 'is-network-error', '@sindresorhus/is'];

const IDS = SOURCES.map(({ id }) => id).join(', ');

/** A port on which nothing listens. */
const NOWHERE = 'http://127.0.0.1:9';

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(standIn => standIn.stop()));
});

async function npmStandIn(): Promise<NpmStandIn> {
  const standIn = await startNpm({ handMade: false, fast: true });
  open.push(standIn);
  return standIn;
}

async function whoisStandIn(): Promise<WhoisStandIn> {
  const standIn = await startWhois({ fast: true });
  open.push(standIn);
  return standIn;
}

/** A part of npm's recordings, so that these tests take little time. */
const npmExamples: Examples = {
  keys: KEYS,
  async start() {
    const names = new Set([
      ...KEYS,
      ...templateNames(readRecordings(NPM_RECORDINGS))
        .filter(name => !name.startsWith('@'))
        .slice(0, 12),
    ]);
    return { standIn: await startNpm({ handMade: false, fast: true, gzip: false }), keys: [...names] };
  },
  kindOf: (subject, url) => (/\/last-[a-z]+\/@/.test(url) ? `${subject} of one name` : subject),
};

interface Probed extends Result {
  code: number;
  announced: string;
  /** The differences as `missing a.b`, with `!` before a path that the source reads. */
  found: string[];
}

async function probe(
  source: string,
  settings: Record<string, string>,
  { keys, examples }: { keys?: string[]; examples?: Examples } = {},
): Promise<Probed> {
  let [announced, written] = ['', ''];
  const args = [source, '--json', ...(keys ? ['--keys', keys.join(',')] : [])];
  const code = await runProbe(
    args,
    { CONTACT: 'tests', ...settings },
    {
      signal: new AbortController().signal,
      announce: text => {
        announced += text;
      },
      write: text => {
        written += text;
      },
      ...(examples ? { examples } : {}),
    },
  );
  const result = JSON.parse(written) as Result;
  const found = result.differences.map(
    ({ kind, change, path, read }) => `${kind}: ${change} ${read ? '!' : ''}${path}`,
  );
  return { ...result, code, announced, found };
}

const probeNpm = ({ settings }: NpmStandIn, keys?: string[]) =>
  probe('npm', settings, { examples: npmExamples, ...(keys ? { keys } : {}) });

const requestsOf = ({ requests }: Pick<Result, 'requests'>) =>
  Object.values(requests).reduce((sum, count) => sum + count, 0);

/** Changes the document of every key that is probed. */
function changeDocuments(standIn: NpmStandIn, change: (document: Record<string, unknown>) => void): void {
  for (const key of KEYS) {
    const document = JSON.parse(new TextDecoder().decode(standIn.documentOf(key)!)) as Record<string, unknown>;
    change(document);
    standIn.fault(key, [{ body: JSON.stringify(document) }], { repeat: true });
  }
}

describe('a probe of npm', () => {
  it('finds no difference at its own recordings, reads only, and says who asks', async () => {
    const standIn = await npmStandIn();
    const { code, found, kinds, refused, unanswered, announced, ...result } = await probe('npm', standIn.settings);
    expect({ code, found, refused, unanswered }).toEqual({ code: 0, found: [], refused: [], unanswered: [] });
    expect(kinds.map(({ kind }) => kind)).toEqual([
      'npm page',
      'npm head',
      'npm list',
      'npm downloads',
      'npm downloads of one name',
      'npm package',
      'row of npm_package from npm package',
    ]);
    expect(kinds.every(({ live, recorded }) => live > 0 && recorded > 0)).toBe(true);
    const { recent, total } = standIn.requests;
    expect(requestsOf(result)).toBe(total);
    expect(total).toBeLessThanOrEqual(REQUESTS_MAX);
    expect(recent.every(({ method, userAgent }) => method === 'GET' && userAgent!.includes('(+tests)'))).toBe(true);
    expect(announced).toContain(`load     ${new URL(standIn.origin).host}: 4 at most`);
    expect(announced).toContain('keys     aws4fetch, cookie');
  });

  it('names a renamed field that is read, and what the row loses by it', async () => {
    const standIn = await npmStandIn();
    changeDocuments(standIn, document => {
      for (const object of [document, ...Object.values(document.versions as Record<string, object>)])
        Object.assign(object, { licence: Reflect.get(object, 'license'), license: undefined });
    });
    const { code, found } = await probeNpm(standIn);
    expect(found.sort()).toEqual([
      'npm package: missing !license',
      'npm package: missing !versions.*.license',
      'npm package: new licence',
      'npm package: new versions.*.licence',
      'row of npm_package from npm package: missing !upsert.license',
    ]);
    expect(code).toBe(1);
  });

  it('names a field of another type, and the refusal of the source', async () => {
    const standIn = await npmStandIn();
    changeDocuments(standIn, document => Object.assign(document, { versions: [document.versions] }));
    const { code, found, refused } = await probeNpm(standIn);
    expect(found).toEqual(['npm package: type !versions']);
    expect(refused).toEqual(['npm package: expected versions to be an object, got a list']);
    expect(code).toBe(1);
  });

  it('compares an answer that the shape of the source refuses', async () => {
    const standIn = await npmStandIn();
    standIn.fault('/registry/_changes', [
      { body: '{"results":[{"seq":"1","id":"a","changes":[{"rev":"1-a"}]}],"last_seq":1}' },
    ]);
    const { code, found, refused } = await probeNpm(standIn);
    expect(found).toEqual(['npm page: type !results[].seq']);
    expect(refused).toEqual(['npm page: expected results[0].seq to be a number, got text']);
    expect(code).toBe(1);
  });

  it('gives 0 when only paths that nobody reads differ', async () => {
    const standIn = await npmStandIn();
    changeDocuments(standIn, document => {
      document.security = { reports: [] };
      for (const manifest of Object.values(document.versions as Record<string, { dist: Record<string, unknown> }>)) {
        delete manifest.dist.shasum;
        manifest.dist.tarball = [manifest.dist.tarball];
      }
    });
    const { code, found } = await probeNpm(standIn);
    expect(found.sort()).toEqual([
      'npm package: missing versions.*.dist.shasum',
      'npm package: new security',
      'npm package: type versions.*.dist.tarball',
    ]);
    expect(code).toBe(0);
  });

  it('names a count that is gone from the answers of the downloads API', async () => {
    const standIn = await npmStandIn();
    const body = JSON.stringify({ aws4fetch: { count: 1, package: 'aws4fetch', start: '', end: '' } });
    for (const period of ['month', 'year'])
      standIn.fault(`/downloads/point/last-${period}/,`, [{ body }], { repeat: true });
    const { code, found } = await probeNpm(standIn, ['aws4fetch']);
    expect(found.sort()).toEqual(['npm downloads: missing !*.downloads', 'npm downloads: new *.count']);
    expect(code).toBe(1);
  });

  it('gives 2 when nothing answers, and asks each host for one thing only', async () => {
    const urls = { NPM_FEED_URL: NOWHERE, NPM_REGISTRY_URL: NOWHERE, NPM_DOWNLOADS_URL: NOWHERE };
    const { code, found, kinds, unanswered, requests } = await probe('npm', urls, { examples: npmExamples });
    expect({ code, found, kinds }).toEqual({ code: 2, found: [], kinds: [] });
    expect(unanswered).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:9: npm head: expected an answer, got no connection/),
    ]);
    expect(requests).toEqual({ '127.0.0.1:9': 3 });
  });

  it('gives 2 when a part does not answer and the rest is the same, 1 when the rest differs', async () => {
    const standIn = await npmStandIn();
    const settings = { ...standIn.settings, NPM_DOWNLOADS_URL: NOWHERE };
    const same = await probe('npm', settings, { examples: npmExamples });
    expect({ code: same.code, found: same.found }).toEqual({ code: 2, found: [] });
    expect(same.kinds.map(({ kind }) => kind)).toEqual(['npm page', 'npm head', 'npm list', 'npm package']);
    changeDocuments(standIn, document => void delete document._rev);
    const changed = await probe('npm', settings, { examples: npmExamples });
    expect({ code: changed.code, found: changed.found }).toEqual({ code: 1, found: ['npm package: missing !_rev'] });
  });

  it('sends no more than the limit, and says that it does not', async () => {
    const standIn = await npmStandIn();
    const names = templateNames(readRecordings(NPM_RECORDINGS)).slice(0, 30);
    const { code, unanswered, ...result } = await probe('npm', standIn.settings, { keys: names });
    expect(standIn.requests.total).toBe(requestsOf(result));
    expect(standIn.requests.total).toBeLessThanOrEqual(REQUESTS_MAX);
    expect(unanswered.at(-1)).toContain(`expected at most ${REQUESTS_MAX} requests in one probe, got more to send`);
    expect(code).toBe(2);
  });

  it('names the failure of a source whose code breaks on an answer', async () => {
    const standIn = await npmStandIn();
    const load = vi.spyOn(npm, 'load').mockRejectedValueOnce(new TypeError('x is not a function'));
    const { code, refused, kinds } = await probeNpm(standIn);
    expect(refused).toEqual(['x is not a function']);
    expect(kinds).toContainEqual({ kind: 'npm package', live: KEYS.length - 1, recorded: expect.any(Number) });
    expect(code).toBe(1);
    load.mockRestore();
  });

  it('takes a web page for no answer', async () => {
    const standIn = await npmStandIn();
    standIn.fault('cookie', [{ headers: { 'content-type': 'text/html' }, body: '<html></html>' }]);
    const { code, unanswered, found } = await probeNpm(standIn);
    const host = new URL(standIn.origin).host;
    expect(unanswered).toEqual([`${host}: npm package: expected JSON, got markup`]);
    expect({ code, found }).toEqual({ code: 2, found: [] });
  });

  it('asks a throttling host no more', async () => {
    const standIn = await npmStandIn();
    standIn.fault('aws4fetch', [{ status: 429, headers: { 'retry-after': '60' }, body: '{}' }]);
    const { code, unanswered } = await probeNpm(standIn);
    expect(unanswered).toEqual([expect.stringContaining('npm package: expected status 200, got 429')]);
    expect(standIn.requests.count('/cookie')).toBe(0);
    expect(code).toBe(2);
  });
});

describe('a probe of whois', () => {
  const KEYS_WHOIS = ['copper-example.com', 'castle-example.cz', 'xn--msterstadt-9db.de'];

  it('finds no difference at its own recordings, over RDAP and WHOIS', async () => {
    const standIn = await whoisStandIn();
    const { code, found, kinds, ...result } = await probe('whois', standIn.settings, { keys: KEYS_WHOIS });
    expect({ code, found }).toEqual({ code: 0, found: [] });
    expect(kinds.map(({ kind }) => kind)).toEqual([
      'rdap bootstrap',
      'rdap domain',
      'row of whois_record from rdap domain',
      'whois domain .de',
      'row of whois_record from whois domain .de',
    ]);
    expect(requestsOf(result)).toBe(5);
    expect(standIn.queries).toHaveLength(1);
  });

  it('names changed members of RDAP', async () => {
    const standIn = await whoisStandIn();
    const answer = await fetch(`${standIn.origins['registry-b']}/domain/harvest-example.org`);
    const { events, ...document } = (await answer.json()) as Record<string, unknown>;
    const body = JSON.stringify({ ...document, history: events, objectClassName: 'domain' });
    standIn.fault('harvest-example.org', [{ body }], { repeat: true });
    const { code, found } = await probe('whois', standIn.settings, { keys: ['harvest-example.org'] });
    expect(found.sort()).toEqual([
      'rdap domain: missing !events',
      'rdap domain: new history',
      'row of whois_record from rdap domain: missing !upsert.created_at',
      'row of whois_record from rdap domain: missing !upsert.created_date',
    ]);
    expect(code).toBe(1);
  });

  it('names changed keys of a text, and the columns that are lost', async () => {
    const standIn = await whoisStandIn();
    const domain = 'xn--msterstadt-9db.de';
    const text = ['Domain: xn--msterstadt-9db.de', 'Nserver: ns1.host.example', 'Zustand: connect'];
    standIn.fault(domain, [{ body: text.join('\n') }], { repeat: true });
    const { code, found, refused } = await probe('whois', standIn.settings, { keys: [domain] });
    expect(refused).toEqual([]);
    expect(found.sort()).toEqual([
      'row of whois_record from whois domain .de: missing !upsert.status_codes',
      'row of whois_record from whois domain .de: missing !upsert.updated_date',
      'whois domain .de: missing changed',
      'whois domain .de: missing status',
      'whois domain .de: new zustand',
    ]);
    expect(code).toBe(1);
  });

  it('compares the lines of a text that the source refuses', async () => {
    const standIn = await whoisStandIn();
    const domain = 'xn--msterstadt-9db.de';
    standIn.fault(domain, [{ body: 'Domain: other.de\nStatus: connect\nChanged: x\nZustand: y' }], { repeat: true });
    const { code, found, refused } = await probe('whois', standIn.settings, { keys: [domain] });
    expect(refused).toEqual(['whois text: expected the queried domain, got another']);
    expect(found.filter(line => !line.includes('missing'))).toEqual(['whois domain .de: new zustand']);
    expect(code).toBe(1);
  });

  it('takes neither the keys of lines nor columns for those of a map, and a further column for no loss', async () => {
    const textOf = (domain: string, keys: string[]) =>
      [`Domain: ${domain}`, 'Status: connect', ...keys.map(key => `${key}: x`)].join('\n');
    const [first, second] = ['xn--msterstadt-9db.de', 'example-latin.de'];
    const examples: Examples = {
      keys: [],
      async start() {
        const recorded = await startWhois({ fast: true });
        recorded.fault(first!, [{ body: textOf(first!, ['A', 'B', 'C', 'D', 'E']) }]);
        recorded.fault(second!, [{ body: textOf(second!, ['V', 'W', 'X', 'Y', 'Z']) }]);
        return { standIn: recorded, keys: [first!, second!] };
      },
    };
    const standIn = await whoisStandIn();
    standIn.fault(first!, [{ body: `${textOf(first!, ['A', 'Zustand'])}\nChanged: 2026-01-02` }]);
    const { code, found } = await probe('whois', standIn.settings, { keys: [first!], examples });
    expect(found.sort()).toEqual([
      'row of whois_record from whois domain .de: new upsert.updated_date',
      'whois domain .de: new changed',
      'whois domain .de: new zustand',
    ]);
    expect(code).toBe(0);
  });

  it('says when a registered domain reads as a deletion', async () => {
    const standIn = await whoisStandIn();
    const domain = 'xn--msterstadt-9db.de';
    standIn.fault(domain, [{ body: `Domain: ${domain}\nStatus: free\n` }], { repeat: true });
    const { code, found } = await probe('whois', standIn.settings, { keys: [domain] });
    expect(found).toContain('row of whois_record from whois domain .de: missing !upsert');
    expect(code).toBe(1);
  });

  it('says when no recording has the kind of an answer', async () => {
    const standIn = await whoisStandIn();
    const keys = ['nobody.be'];
    const { code, kinds } = await probe('whois', standIn.settings, { keys, examples: whoisExamples });
    expect(kinds).toContainEqual({ kind: 'whois domain .be', live: 1, recorded: 0 });
    expect(code).toBe(0);
  });

  it('gives 2 when the list of servers does not answer, and asks for nothing else', async () => {
    const { code, unanswered, requests } = await probe('whois', { WHOIS_BOOTSTRAP_URL: `${NOWHERE}/dns.json` });
    expect(unanswered).toEqual([expect.stringContaining('rdap bootstrap: expected an answer, got no connection')]);
    expect(requests).toEqual({ '127.0.0.1:9': 3 });
    expect(code).toBe(2);
  });
});

describe('the command line', () => {
  const options = { signal: new AbortController().signal, announce: () => {}, write: () => {} };

  it.each([
    ['an unknown source', ['nothing'], `source: expected one of ${IDS}, got "nothing"`],
    ['no source', [], `probe: expected one source of ${IDS}, got 0`],
    ['two sources', ['npm', 'whois'], `probe: expected one source of ${IDS}, got 2`],
    ['no keys', ['npm', '--keys', ' ,'], 'probe: expected --keys to name keys separated by commas, got none'],
    ['an unknown option', ['npm', '--all'], "Unknown option '--all'"],
    [
      'a text that is no key',
      ['whois', '--keys', 'co.uk'],
      'probe: expected a key of whois, got "co.uk" (public-suffix)',
    ],
    ['a wrong setting', ['npm'], 'NPM_REGISTRY_URL: expected an http or https URL'],
  ])('refuses %s', async (_, args, message) => {
    await expect(runProbe(args, { NPM_REGISTRY_URL: 'ftp://127.0.0.1' }, options)).rejects.toThrow(message);
  });

  it('prints for a person what was asked of whom, what differs, and counts', async () => {
    const standIn = await npmStandIn();
    changeDocuments(standIn, document => {
      document['odd\u001b[31m'] = 1;
      delete document._rev;
      for (let n = 0; n < 30; n++) document[`extra-${n}`] = n;
    });
    let [announced, written] = ['', ''];
    const code = await runProbe(['npm'], standIn.settings, {
      signal: options.signal,
      examples: npmExamples,
      announce: text => {
        announced += text;
      },
      write: text => {
        written += text;
      },
    });
    expect(announced).toContain(`at most ${REQUESTS_MAX} requests`);
    expect(announced).toContain('CONTACT is not set');
    const lines = written.split('\n');
    expect(lines).toContain('npm head: 1 here, 1 recorded, the same form');
    expect(written).toMatch(/^ {2}missing read {4}_rev {2}\(recorded: text in (\d+) of \1\)$/m);
    expect(lines).toContain('  new     unread  ["odd\\u001b[31m"]  (here: number in 4 of 4)');
    expect(lines).toContain('  and 11 more that the source does not read (--json prints all)');
    expect(lines.at(-2)).toBe(
      'Paths that differ: 1 read, 31 unread. Refused: 0. Hosts or keys without an answer: 0. The recordings are not true any more.',
    );
    expect(code).toBe(1);
  });
});
