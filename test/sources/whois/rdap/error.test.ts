import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { checkRdapError, checkRdapRefusal } from '../../../../src/sources/whois/rdap/error.ts';
import { loadAll, loadingOf, worldOf } from '../world.ts';

const RDAP = 'application/rdap+json';
const DOMAIN = 'kettle-example.com';

function faultOf(call: () => void): ChangeError | null {
  try {
    call();
    return null;
  } catch (error) {
    if (!(error instanceof ChangeError)) throw error;
    return error;
  }
}

describe('an error object', () => {
  it.each([404, 429, 503, '404'])('with code %j is that status', code => {
    const status = Number(code);
    expect(faultOf(() => checkRdapError({ errorCode: code }))).toMatchObject({ reason: `http-${status}`, status });
  });

  it.each([null, [], {}, { errorCode: null }, { errorCode: 0 }, { errorCode: 200 }, { errorCode: 'x' }, 'text'])(
    'is not %j',
    json => {
      expect(faultOf(() => checkRdapError(json))).toBeNull();
    },
  );
});

describe('an answer with status 404', () => {
  const missing = (body: string, contentType: string | null) =>
    faultOf(() =>
      checkRdapRefusal({ status: 404, bytes: new TextEncoder().encode(body), contentType, headers: new Headers() }),
    )?.reason ?? 'missing';

  it.each([
    ['{"errorCode":404,"title":"Not Found"}', 'application/json'],
    ['{"rdapConformance":["rdap_level_0"]}', null],
    ['{"title":"Not Found"}', RDAP],
    ['{}', `${RDAP}; charset=utf-8`],
    ['', RDAP],
    ['', 'application/json'],
    ['', null],
  ])('says that the domain is missing: %j as %j', (body, type) => {
    expect(missing(body, type)).toBe('missing');
  });

  it.each([
    ['<html><body>Not Found</body></html>', 'text/html', 'not-json'],
    ['<html></html>', RDAP, 'not-json'],
    ['404 page not found', 'text/plain', 'not-json'],
    ['', 'text/html', 'not-json'],
    ['{"message":"no Route matched with those values"}', 'application/json', 'wrong-shape'],
    ['[]', 'application/json', 'wrong-shape'],
    ['not found', null, 'wrong-shape'],
    ['{"errorCode":404', RDAP, 'wrong-shape'],
    ['{"errorCode":429,"title":"Rate Limit"}', RDAP, 'http-429'],
    ['{"errorCode":500}', 'application/json', 'http-500'],
  ])('says nothing about the domain: %j as %j is %s', (body, type, reason) => {
    expect(missing(body, type)).toBe(reason);
  });
});

describe('a visit over RDAP', () => {
  it('of a domain for which the server sends code 404 with status 200 gives a deletion', async () => {
    const { standIn, visit } = await worldOf();
    standIn.fault('/registry-a/', [{ body: '{"errorCode":404,"title":"Not Found"}' }]);
    expect((await visit(DOMAIN)).rows).toMatchObject([{ op: 'delete', row: { domain: DOMAIN } }]);
  });

  it.each([
    [{ status: 404, body: '<html>Not Found</html>', headers: { 'content-type': 'text/html' } }, 'not-json', 0],
    [{ status: 404, body: '{"message":"no Route matched"}' }, 'wrong-shape', 0],
    [{ status: 404, body: '{"errorCode":429}' }, 'http-429', 1],
    [{ status: 200, body: '{"errorCode":429}' }, 'http-429', 1],
  ])('of a server that answers %j fails with %s', async (answer, reason, throttled) => {
    const { standIn, settings, change } = await worldOf();
    standIn.fault('/registry-a/', [answer]);
    const loading = loadingOf({ settings });
    const result = await loadAll(loading, [change(DOMAIN)]);
    if (!result.ok) throw new Error(result.failure.message);
    const [outcome] = result.value;
    expect(outcome).toMatchObject(
      throttled === 1 ? { kind: 'deferred', reason: 'throttled' } : { kind: 'park', reason },
    );
    const host = new URL(standIn.origins['registry-a']).host;
    expect(result.hosts.find(tally => tally.host === host)).toMatchObject({ throttled });
  });
});
