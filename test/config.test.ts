import { describe, expect, it } from 'vitest';
import { readSettings } from '../src/config.ts';
import { readDeploySettings } from '../src/local/deploy/settings.ts';
import { enabledSources } from '../src/local/settings.ts';
import { SOURCES } from '../src/sources/registry.ts';
import { readSqlSettings } from '../src/sql/settings.ts';

const WITH_CREDENTIALS = [
  'https://user:word@lake.test/a',
  'https://user@lake.test',
  'https://:word@lake.test',
  ' https://user:word@lake.test',
  'https:user:word@lake.test',
  'https:\\\\user:word@lake.test',
  'HTTP://user:word@lake.test',
  'https://user:word@',
  'https://user:word@lake.test:port',
  'https://a.test,https://user:word@b.test',
];

describe('a URL with user or password', () => {
  const MINIMAL = { NPM_REGISTRY_URL: 'http://127.0.0.1:1' };
  const readers: [string, (env: Record<string, string>) => unknown][] = [
    ['CATALOG_URI', readSettings],
    ['CONTACT', readSettings],
    ['R2_SQL_URL', readSqlSettings],
    ['NPM_REGISTRY_URL', env => enabledSources(env)],
    ['NPM_FEED_URL', env => enabledSources({ ...MINIMAL, ...env })],
    ['R2_SQL_URL', env => enabledSources({ ...MINIMAL, ...env })],
    ['WHOIS_BOOTSTRAP_URL', env => enabledSources({ ...env, SOURCES: 'whois' })],
  ];

  it.each(readers)('is refused as %s, and the message hides it', (name, read) => {
    for (const value of WITH_CREDENTIALS) {
      expect(() => read({ [name]: value }), value).toThrow(
        `${name}: expected a URL without user and password, got (hidden)`,
      );
    }
  });

  it('is refused in every URL setting of a source, at start and by deploy', async () => {
    for (const { id, settingNames } of SOURCES) {
      for (const name of settingNames.filter(setting => setting.endsWith('_URL'))) {
        const env = { ...MINIMAL, SOURCES: id, [name]: WITH_CREDENTIALS[0]! };
        expect(() => enabledSources(env)).toThrow(`${name}: expected a URL without user and password, got (hidden)`);
        await expect(readDeploySettings(env)).rejects.toThrow(`${name}: expected a URL without user and password`);
      }
    }
  });

  it.each(['https://lake.test/@scope/name', 'https://lake.test/?a=b@c', 'mailto:me@lake.test', 'me@lake.test'])(
    'is not %s',
    value => {
      expect(readSettings({ CONTACT: value }).contact).toBe(value);
    },
  );
});
