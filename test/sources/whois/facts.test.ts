import { describe, expect, it } from 'vitest';
import { whoisRecord } from '../../../schemas/whois_record.ts';
import { eppStatus, isoDate, isRedacted, NO_FACTS } from '../../../src/sources/whois/facts.ts';

describe('the facts', () => {
  it('are the columns of the row from registrant_name to dnssec, in its order', () => {
    const columns = whoisRecord.columns.map(({ name }) => name);
    expect(Object.keys(NO_FACTS)).toEqual(
      columns.slice(columns.indexOf('registrant_name'), columns.indexOf('dnssec') + 1),
    );
  });
});

describe('a date', () => {
  it.each([
    ['2024-01-02T03:04:05Z', '2024-01-02T03:04:05Z'],
    ['2024-01-02t03:04:05.987654z', '2024-01-02T03:04:05Z'],
    ['2024-01-02T03:04:05+02:00', '2024-01-02T01:04:05Z'],
    ['2024-01-02T23:04:05-0500', '2024-01-03T04:04:05Z'],
    ['2024-01-02 03:04:05+02', '2024-01-02T01:04:05Z'],
    ['2024-01-02 03:04:05 UTC', '2024-01-02T03:04:05Z'],
    ['2024-01-02 03:04:05 (UTC+8)', '2024-01-01T19:04:05Z'],
    ['2024/01/02 03:04:05 (JST)', '2024-01-01T18:04:05Z'],
    ['2024.01.02 03:04 GMT', '2024-01-02T03:04:00Z'],
    ['02-Jan-2024 03:04:05 UTC', '2024-01-02T03:04:05Z'],
    ['Tue Jan  2 03:04:05 GMT 2024', '2024-01-02T03:04:05Z'],
    ['Tue, 02 Jan 2024 03:04:05 GMT', '2024-01-02T03:04:05Z'],
    ['1/13/2024 3:04:05 PM UTC', '2024-01-13T15:04:05Z'],
    ['1/13/2024 12:04:05 AM UTC', '2024-01-13T00:04:05Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00Z'],
  ])('%j with a time and a zone is %j', (text, expected) => {
    expect(isoDate(text)).toBe(expected);
  });

  it.each([
    '2024-01-02',
    ' 2024-01-02 ',
    '2024-01-02Z',
    '2024/01/02',
    '2024.1.2',
    '2024. 01. 02.',
    '20240102',
    '2024-Jan-02',
    '02-Jan-2024',
    '2nd January 2024',
    '02.jan.2024',
    'Jan 2, 2024',
    'Tuesday, January 02 2024',
    '2.1.2024',
    '02.01.2024 03:04:05',
    '2024-01-02T03:04:05',
    '20240102 03:04:05',
    'Tue Jan  2 03:04:05 2024',
    '2024-01-02 03:04:05 CLST',
  ])('%j without a time or a known zone is the day', text => {
    expect(isoDate(text)).toBe('2024-01-02');
  });

  it('is read day first or month first only when one reading is possible', () => {
    expect(isoDate('25/02/2024')).toBe('2024-02-25');
    expect(isoDate('02/25/2024')).toBe('2024-02-25');
    expect(isoDate('03-03-2024')).toBe('2024-03-03');
    expect([isoDate('01/02/2024'), isoDate('01-02-2024'), isoDate('13/13/2024')]).toEqual([null, null, null]);
  });

  it.each([
    '',
    'never',
    'before Aug-1996',
    '2024',
    '2024-01',
    '24-01-02',
    '2024-13-01',
    '2024-02-30',
    '2023-02-29',
    '2024-00-00',
    '0000-00-00',
    '0001-01-01T00:00:00Z',
    '1970-01-01T00:00:00Z',
    '9999-12-31',
    '2024-01-02T24:00:00Z',
    '2024-01-02T03:60:00Z',
    '2024-01-02T03:04:05+15:00',
    '2024-01-02T',
    '2024-01-02 and so on',
    '2024-01-02 13:04:05 pm UTC',
    'x2024-01-02',
    '31 Sept 2024',
    '2 Jam 2024',
    '1704164645',
    `2024-01-02${' '.repeat(100)}`,
  ])('%j is no date', text => {
    expect(isoDate(text)).toBeNull();
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
