import { describe, expect, it, test } from 'vitest';
import { PYPI_RECORDINGS, readRecordings } from '../../../../src/sources/pypi/stand-in/recordings.ts';
import { feedFault, tooManyRequests } from '../../../../src/sources/pypi/stand-in/xml-rpc.ts';
import { callXml, faultIn, pageXml, post, serialsAfter, start } from './client.ts';

const { feed } = readRecordings(PYPI_RECORDINGS);
const HEADER = "<?xml version='1.0'?>\n";

/** What CPython 3.11's `xmlrpc.client.dumps(…, methodresponse=True, allow_none=True)` gives for these two rows. */
const TWO_ROWS = `<?xml version='1.0'?>
<methodResponse>
<params>
<param>
<value><array><data>
<value><array><data>
<value><string>openllm</string></value>
<value><string>0.4.33.dev3</string></value>
<value><int>1795479040</int></value>
<value><string>new release</string></value>
<value><int>33100207</int></value>
</data></array></value>
<value><array><data>
<value><string>gone</string></value>
<value><nil/></value><value><int>1795479043</int></value>
<value><string>remove project</string></value>
<value><int>33100210</int></value>
</data></array></value>
</data></array></value>
</param>
</params>
</methodResponse>
`;

const EMPTY_PAGE = `<?xml version='1.0'?>
<methodResponse>
<params>
<param>
<value><array><data>
</data></array></value>
</param>
</params>
</methodResponse>
`;

describe('the XML of the feed', () => {
  it('is that of CPython, byte for byte: no newline after a nil', async () => {
    const standIn = await start();
    const before = standIn.lastSerial();
    standIn.pushRow({ name: 'openllm', version: '0.4.33.dev3', action: 'new release' });
    standIn.pushRow({ name: 'gone', action: 'remove project' });
    expect(await pageXml(standIn, before)).toBe(TWO_ROWS);
    expect(await pageXml(standIn, standIn.lastSerial())).toBe(EMPTY_PAGE);
  });

  it('has one number for the newest serial', async () => {
    const standIn = await start();
    const response = await post(standIn, callXml('changelog_last_serial'));
    expect(response.headers.get('content-type')).toBe('text/xml');
    expect(await response.text()).toBe(
      `${HEADER}<methodResponse>\n<params>\n<param>\n<value><int>${standIn.lastSerial()}</int></value>\n</param>\n</params>\n</methodResponse>\n`,
    );
  });

  it('has faults with status 200', async () => {
    const { status, body } = feedFault(-32601, 'a < b & c');
    expect(status).toBe(200);
    expect(body).toBe(
      `${HEADER}<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>-32601</int></value>\n</member>\n<member>\n<name>faultString</name>\n<value><string>a &lt; b &amp; c</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n`,
    );
    expect(String(tooManyRequests().body)).not.toContain('Limit may reset');
  });

  it('escapes an action twice and a name once', async () => {
    const standIn = await start();
    const before = standIn.lastSerial();
    standIn.pushRow({ name: 'Näme & <x>', version: 'ü', action: 'add source file dönnées & 🙂.gz' });
    const xml = await pageXml(standIn, before);
    expect(xml).toContain('<value><string>Näme &amp; &lt;x&gt;</string></value>');
    expect(xml).toContain('<value><string>ü</string></value>');
    expect(xml).toContain('<string>add source file d&amp;#246;nn&amp;#233;es &amp; &amp;#128578;.gz</string>');
  });
});

test('a page has the rows after a serial, ascending, and the whole feed can be read in pages', async () => {
  const standIn = await start({ pageRows: 7 });
  expect(standIn.settings.PYPI_PAGE_ROWS).toBe('7');
  const serials: number[] = [];
  for (let after = 0; ; ) {
    const page = await serialsAfter(standIn, after);
    serials.push(...page);
    if (page.length < 7) break;
    after = page.at(-1)!;
  }
  expect(serials).toEqual(feed.map(row => row.serial));
  expect(await serialsAfter(standIn, 0, '/rows-3/pypi')).toEqual(serials.slice(0, 3));
});

test.each(['/pypi', '/pypi/', '/RPC2'])('%s takes calls, and only with the content type of XML', async path => {
  const standIn = await start();
  const call = callXml('changelog_last_serial');
  expect((await post(standIn, call, { path, type: 'text/xml; charset=utf-8' })).status).toBe(200);
  const other = await post(standIn, call, { path, type: 'application/xml' });
  expect(other.status).toBe(404);
  expect(other.headers.get('content-type')).toMatch(/^text\/html/);
});

test.each([
  ['a method that does not exist', callXml('nope'), -32601, 'server error; requested method not found'],
  [
    'a serial that is text',
    callXml('changelog_since_serial', '<string>7</string>'),
    -32602,
    'client error; serial: Input should be a valid integer',
  ],
  [
    'a serial without a type',
    callXml('changelog_since_serial', '7'),
    -32602,
    'client error; serial: Input should be a valid integer',
  ],
  ['a body that is not XML', 'not a call', -32700, 'parse error; not well formed'],
  ['a call in two', '<methodCall><methodName>nope</methodName>', -32700, 'parse error; not well formed'],
])('%s is a fault with status 200', async (_, body, code, text) => {
  const standIn = await start();
  expect(await faultIn(await post(standIn, body))).toEqual({ status: 200, code, text });
});

test('every answer says how many requests are left, and a request over the limit is a fault', async () => {
  const standIn = await start({ feedRequestsPerHour: 2 });
  const call = callXml('changelog_last_serial');
  for (const left of [1, 0]) {
    const response = await post(standIn, call);
    expect(response.headers.get('ratelimit-policy')).toBe('"xmlrpc.client";q=2;w=3600;pk=:ip:');
    expect(response.headers.get('ratelimit')).toMatch(new RegExp(`^"xmlrpc\\.client";r=${left};t=\\d+$`));
    expect(await faultIn(response)).toBeNull();
  }
  const refused = await post(standIn, call);
  expect(refused.headers.get('ratelimit')).toMatch(/;r=0;t=\d+$/);
  expect(await faultIn(refused)).toEqual({
    status: 200,
    code: -32500,
    text: expect.stringMatching(/^HTTPTooManyRequests: .* Limit may reset in \d+ seconds\.$/),
  });
});

test('a row that is pushed comes before the waiting ones, and all serials rise', async () => {
  const standIn = await start({ rows: 3 });
  const waiting = standIn.waiting();
  const pushed = standIn.pushRow({ name: 'constructor', action: 'add Owner x' });
  expect(standIn.waiting()).toBe(waiting);
  expect(standIn.rows().at(-1)).toBe(pushed);
  standIn.release(2);
  standIn.pushRow({ name: 'constructor', action: 'add Owner y' });
  standIn.release();
  expect(standIn.waiting()).toBe(0);
  const serials = standIn.rows().map(row => row.serial);
  expect(serials).toEqual([...new Set(serials)].sort((a, b) => a - b));
  expect(standIn.rows()).toHaveLength(feed.length + 2);
  expect(standIn.head()).toBe(String(serials.at(-1)));
});

test('before the first release the newest serial is below that of the first row', async () => {
  const standIn = await start({ rows: 0 });
  expect(standIn.lastSerial()).toBe(feed[0]!.serial - 1);
  expect(await serialsAfter(standIn, 0)).toEqual([]);
});

test('a renumbered journal begins at another serial, and documents have theirs from it', async () => {
  const standIn = await start({ only: ['asta.serve', 'constructor'] });
  standIn.renumber(500);
  expect((await serialsAfter(standIn, 0))[0]).toBe(500);
  expect(standIn.rows()).toHaveLength(4);
  const document = JSON.parse(Buffer.from(standIn.documentOf('constructor')!).toString());
  expect(document.last_serial).toBe(standIn.lastSerial());
  expect(standIn.lastSerial()).toBeLessThan(600);
});

test('made-up projects follow the recorded rows, round after round', async () => {
  const standIn = await start({ only: [], changes: 5, names: 2, rows: 4 });
  expect(standIn.rows().map(({ name, version }) => `${name} ${version}`)).toEqual([
    'made-up-00001 0.1',
    'made-up-00002 0.1',
    'made-up-00001 0.2',
    'made-up-00002 0.2',
  ]);
  expect(standIn.waiting()).toBe(1);
  const document = JSON.parse(Buffer.from(standIn.documentOf('made-up-00001')!).toString());
  expect(document).toMatchObject({ info: { version: '0.2' }, last_serial: standIn.rows()[2]!.serial });
});
