import { describe, expect, it } from 'vitest';
import { whoisRecord } from '../../../schemas/whois_record.ts';
import { eppStatus, isRedacted, NO_FACTS } from '../../../src/sources/whois/facts.ts';

describe('the facts', () => {
  it('are the columns of the row from registrant_name to dnssec, in its order', () => {
    const columns = whoisRecord.columns.map(({ name }) => name);
    expect(Object.keys(NO_FACTS)).toEqual(
      columns.slice(columns.indexOf('registrant_name'), columns.indexOf('dnssec') + 1),
    );
  });
});

describe('a text in place of a withheld value', () => {
  it.each([
    'REDACTED FOR PRIVACY',
    ' Redacted for privacy purposes. ',
    'REDACTED FOR PRIVACY(DT)',
    'Redacted | EU Data Subject',
    'Redacted | Registry Policy',
    '[REDACTED]',
    'Data Redacted',
    'redacted by law',
    'GDPR Masked',
    'gdpr-masking@gdpr-masked.com',
    'Data Protected, not disclosed',
    'Not Disclosed!',
    'Statutory Masking Enabled',
    'Non-Public Data',
    'Withheld for Privacy Purposes',
    'Please query the RDDS service of the Registrar of Record identified in this output for more',
    'Select Request Email Form at https://domains.registrar.example/registrant/a',
  ])('is %j', text => {
    expect(isRedacted(text)).toBe(true);
  });

  it.each([
    '',
    'Ann Sample',
    'Redacted Records Ltd',
    'Redacted by Ann',
    'The Confidential Data Company',
    'Domains By Proxy, LLC',
    'Registration Private',
    'Whois Privacy Corp.',
    'Privacy service provided by Withheld for Privacy ehf',
    'Privacy Protect, LLC (PrivacyProtect.org)',
    'Hidden Valley Farm',
  ])('is not %j', text => {
    expect(isRedacted(text)).toBe(false);
  });

  it('is recognised fast, however long', () => {
    const started = process.threadCpuUsage();
    for (const unit of ['redacted for the ', 'a ', '- ', 'redacted']) isRedacted(unit.repeat(100_000));
    expect(process.threadCpuUsage(started).user / 1_000).toBeLessThan(2_000);
  });
});

describe('a status', () => {
  it.each([
    ['client transfer prohibited', 'clientTransferProhibited'],
    ['clientTransferProhibited', 'clientTransferProhibited'],
    ['clientTransferProhibited https://icann.org/epp#clientTransferProhibited', 'clientTransferProhibited'],
    ['CLIENTHOLD (http://www.icann.org/epp#clientHold)', 'clientHold'],
    ['Client-Update-Prohibited', 'clientUpdateProhibited'],
    ['redemption period', 'redemptionPeriod'],
    ['auto renew period', 'autoRenewPeriod'],
    ['active', 'ok'],
    ['OK', 'ok'],
    ['associated', 'linked'],
  ])('%j is %j', (text, expected) => {
    expect(eppStatus(text)).toBe(expected);
  });

  it.each(['', 'locked', 'validated', 'constructor', 'ok ok', 'https://icann.org/epp#ok', 'connect'])(
    '%j is no EPP code',
    text => {
      expect(eppStatus(text)).toBeNull();
    },
  );
});
