import { describe, expect, it } from 'vitest';
import { ChangeError, CursorError } from '../../../src/errors.ts';
import { pypi } from '../../../src/sources/pypi/pypi.ts';
import { pull, runStep } from '../step.ts';
import {
  answerXml,
  faultXml,
  pageXml,
  parameterOf,
  type Reply,
  type SentRow,
  startFeed,
  startUpstream,
} from './upstream.ts';

const rows = (count: number, from = 1): SentRow[] =>
  Array.from({ length: count }, (_, i) => [`p${from + i}`, '1.0', 1_700_000_000, 'new release', from + i]);

const changesOf = async (sent: SentRow[]) => (await pull(pypi, (await startFeed(sent)).settings, '0')).changes;

/** The error of a pull from an endpoint that answers this. */
async function failureOf(reply: Reply, cursor = '0') {
  const { settings, sent } = await startUpstream(() => reply);
  const failure = await pull(pypi, settings, cursor).catch((error: unknown) => error);
  return { failure: failure as ChangeError, sent };
}

describe('a page', () => {
  it('has the rows after the serial, and is asked for as XML with a number', async () => {
    const { settings, sent } = await startFeed(rows(5));
    const page = await pull(pypi, settings, '2');
    expect(page.changes.map(({ key, cursor, revision }) => [key, cursor, revision])).toEqual([
      ['p3', '3', 3],
      ['p4', '4', 4],
      ['p5', '5', 5],
    ]);
    expect(page).toMatchObject({ cursor: '5', head: '5', atHead: true, belowCursor: false });
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ method: 'POST', path: '/pypi', headers: { 'content-type': 'text/xml' } });
    expect(sent[0]!.body).toContain('<methodName>changelog_since_serial</methodName>');
    expect(parameterOf(sent[0]!)).toBe(2);
  });

  it('that is full is not at the head', async () => {
    const { settings } = await startFeed(rows(3), { PYPI_PAGE_ROWS: 3 });
    expect(await pull(pypi, settings, '0')).toMatchObject({ atHead: false, head: null, cursor: '3' });
  });

  it('that is empty asks for the head, and keeps the cursor', async () => {
    const { settings, sent } = await startFeed([], { head: 9 });
    expect(await pull(pypi, settings, '9')).toMatchObject({
      changes: [],
      cursor: '9',
      head: '9',
      atHead: true,
      belowCursor: false,
    });
    expect(sent).toHaveLength(2);
    expect(sent[1]!.body).toContain('<methodName>changelog_last_serial</methodName>');
    expect(await pull(pypi, settings, '10')).toMatchObject({ cursor: '10', belowCursor: true });
  });

  it('is valid without a head', async () => {
    const { settings } = await startUpstream(sent =>
      parameterOf(sent) === null ? { body: faultXml(-32500, 'RuntimeError: x') } : { body: pageXml([]) },
    );
    expect(await pull(pypi, settings, '5')).toMatchObject({
      changes: [],
      head: null,
      atHead: true,
      belowCursor: false,
    });
  });

  it('may have gaps between its serials', async () => {
    const changes = await changesOf([rows(1)[0]!, rows(1, 7)[0]!, rows(1, 2_000_000_000)[0]!]);
    expect(changes.map(({ cursor }) => cursor)).toEqual(['1', '7', '2000000000']);
  });
});

describe('the first cursor', () => {
  const start = (settings: ReturnType<typeof pypi.settings>) =>
    runStep(pypi, { settings, step: 'pull' }, ctx => pypi.feed!.start(ctx));

  it('is the head, or the setting', async () => {
    const { settings } = await startFeed(rows(5));
    expect((await start(settings)).value).toBe('5');
    expect((await start({ ...settings, start: '3' })).value).toBe('3');
  });

  it.each([
    ['<value><string>5</string></value>', 'text'],
    ['<value><nil/></value>', 'nothing'],
    ['<value><i8>9007199254740993</i8></value>', 'a larger number'],
  ])('is refused where the head is %s', async (xml, actual) => {
    const { settings } = await startUpstream(() => ({ body: answerXml(xml) }));
    await expect(start(settings)).rejects.toThrow(`pypi head: expected the answer to be a serial, got ${actual}`);
  });
});

describe('changes of one project in a page', () => {
  const row = (name: string | null, action: string, serial: number, version: string | null = null): SentRow => [
    name,
    version,
    1,
    action,
    serial,
  ];

  it('are coalesced into the last, over all spellings of the name', async () => {
    const changes = await changesOf([
      row('Foo.Bar', 'create', 1),
      row('other', 'create', 2),
      row('foo_bar', 'new release', 3, '1'),
      row('FOO--bar', 'add source file Foo.Bar-1.tar.gz', 4, '1'),
    ]);
    expect(changes.map(({ key, cursor, skip }) => [key, cursor, skip])).toEqual([
      ['foo-bar', '1', 'coalesced'],
      ['other', '2', null],
      ['foo-bar', '3', 'coalesced'],
      ['foo-bar', '4', null],
    ]);
  });

  it.each([
    ['a removal', ['remove project'], true],
    ['a removal, then rows about roles', ['remove project', 'remove Owner ann', 'revoke_invite Owner joe'], true],
    ['a removal, then a new project', ['remove project', 'create', 'add Owner ann'], false],
    ['a removal, then a release', ['remove project', 'new release 1'], false],
    ['a removal, then a file', ['remove project', 'add py3 file a.whl 1'], false],
    ['a removal, then a role of a team called "file x"', ['remove project', 'add Owner file x'], true],
    ['a new project, then its removal', ['create', 'new release 1', 'remove project'], true],
    ['removed, made and removed again', ['remove project', 'create', 'remove project'], true],
    ['a quarantine', ['project quarantined'], false],
    ['a cleared quarantine', ['remove project', 'project quarantine cleared'], false],
    ['the removal of a release', ['remove release 1'], false],
    ['a role of a team called "remove project"', ['add Owner remove project'], false],
    ['no action', ['remove project', null], true],
  ])('say whether it is gone: %s', async (_, actions, deleted) => {
    const sent = actions.map((action, i): SentRow => {
      const version = action !== null && / 1$/.test(action) ? '1' : null;
      return ['a', version, 1, action?.replace(/ 1$/, '') ?? null, i + 1];
    });
    expect((await changesOf(sent)).at(-1)).toMatchObject({ key: 'a', deleted, skip: null });
  });

  it('do not know of a removal in the page before', async () => {
    const { settings } = await startFeed([row('a', 'remove project', 1), row('a', 'remove Owner ann', 2)]);
    expect((await pull(pypi, settings, '1')).changes).toMatchObject([{ key: 'a', deleted: false, skip: null }]);
  });

  it('are known by actions whose other characters came as references', async () => {
    const { settings } = await startUpstream(() => ({ body: pageXml([['a', null, 1, '&#114;emove project', 1]]) }));
    expect((await pull(pypi, settings, '0')).changes).toMatchObject([{ deleted: true }]);
  });
});

describe('names that no project can have', () => {
  it('become changes with the name as key, so that they hold nothing up', async () => {
    const long = 'a'.repeat(10_240);
    const names = [null, '', 'with space', 'é', '\u212Aelvin', '__proto__', 'constructor', long];
    const changes = await changesOf(names.map((name, i) => [name, '1', 1, 'new release', i + 1]));
    const keys = ['', '', 'with space', 'é', '\u212Aelvin', '__proto__', 'constructor', long];
    expect(changes.map(({ key }) => key)).toEqual(keys);
  });
});

describe('an answer that is no page', () => {
  it.each([
    [
      'a row of four values',
      pageXml([['a', null, 1, 'create']]),
      'expected rows[0] to be a list of 5 values, got one of 4',
    ],
    [
      'a row without values',
      pageXml([['a', '1', 1, 'x', 9], []]),
      'expected rows[1] to be a list of 5 values, got one of 0',
    ],
    ['a row that is text', pageXml(['a' as unknown as unknown[]]), 'expected rows[0] to be a list, got text'],
    [
      'a serial that is text',
      pageXml([['a', null, 1, 'create', '5']]),
      'expected rows[0] serial to be a whole number below 2^53, got text',
    ],
    [
      'a serial over 2^53',
      pageXml([['a', null, 1, 'x', 5]]).replace('<int>5<', '<int>9007199254740993<'),
      'got a larger number',
    ],
    [
      'a name that is a number',
      pageXml([[5, null, 1, 'x', 5]]),
      'expected rows[0] name to be text or nothing, got a number',
    ],
    [
      'serials that do not rise',
      pageXml([
        ['a', null, 1, 'x', 5],
        ['b', null, 1, 'x', 5],
      ]),
      'expected rows[1] serial to be above 5, got 5',
    ],
    [
      'a serial that is not above the cursor',
      pageXml([['a', null, 1, 'x', 3]]),
      'expected rows[0] serial to be above 3, got 3',
    ],
    ['a number', answerXml('<value><int>5</int></value>'), 'expected rows to be a list, got a number'],
    ['a web page', '<!DOCTYPE html><p>maintenance', 'expected XML-RPC, got a web page'],
  ])('%s is named, and the cursor stays', async (_, body, message) => {
    const { failure } = await failureOf({ body }, '3');
    expect(failure).toBeInstanceOf(ChangeError);
    expect(failure.reason).toBe('wrong-shape');
    expect(failure.message).toContain(`pypi page: `);
    expect(failure.message).toContain(message);
  });

  it('half a page is asked for again', async () => {
    const xml = pageXml(rows(3));
    const { failure, sent } = await failureOf({ body: xml.slice(0, xml.length / 2) });
    expect(failure.reason).toBe('truncated');
    expect(sent).toHaveLength(3);
  });

  it('a page over 24 MiB is refused', async () => {
    const { failure } = await failureOf({ body: Buffer.alloc(24 * 2 ** 20 + 1, 32) });
    expect(failure.reason).toBe('too-large');
  });

  it('an action of 1 MB is read, and kept nowhere', async () => {
    const changes = await changesOf([['a', null, 1, 'é&<'.repeat(250_000), 1]]);
    expect(changes).toEqual([{ key: 'a', cursor: '1', deleted: false, revision: 1, skip: null }]);
  });
});

describe('a fault', () => {
  const tooMany =
    'HTTPTooManyRequests: The action could not be performed because there were too many requests by the client.';

  it.each([
    [-32500, `${tooMany} Limit may reset in 7 seconds.`, { status: 429, reason: 'http-429', retryAfterMs: 7000 }],
    [-32500, tooMany, { status: 429, reason: 'http-429', retryAfterMs: null }],
    [-32500, 'RuntimeError: This method has been removed.', { status: 500, reason: 'http-500', retryAfterMs: null }],
    [-32403, 'server error; service unavailable', { status: 503, reason: 'http-503' }],
    [-32601, 'server error; requested method not found', { status: null, reason: 'wrong-shape' }],
    [-32700, 'parse error; not well formed', { status: null, reason: 'wrong-shape' }],
  ])('%i %s is read by its code', async (code, text, expected) => {
    const { failure } = await failureOf({ body: faultXml(code, text) });
    expect(failure).toBeInstanceOf(ChangeError);
    expect(failure).toMatchObject(expected);
    expect(failure.message).toMatch(new RegExp(`^pypi page: expected an answer, got fault ${code}: `));
  });

  it('about the serial is about the cursor', async () => {
    const { failure } = await failureOf({
      body: faultXml(-32602, 'client error; serial: Input should be a valid integer'),
    });
    expect(failure).toBeInstanceOf(CursorError);
  });
});

it.each([404, 405])('an index without a feed (%i) names the setting to change', async status => {
  const { failure } = await failureOf({ status, body: 'no' });
  expect(failure).toMatchObject({ reason: `http-${status}`, status });
  expect(failure.message).toMatch(/PYPI_FEED_URL/);
});
