import { expect } from 'vitest';
import { pypiPackage } from '../../../schemas/pypi_package.ts';
import { type Known, projectRow, readProject } from '../../../src/sources/pypi/project.ts';

export const UPLOADED = '2024-02-02T02:02:02.123456Z';

/** A file of a release, as documents list it. */
export function fileAt(time: string, fields: Record<string, unknown> = {}) {
  const [seconds] = time.split('.');
  return {
    filename: 'thing-1.0.tar.gz',
    packagetype: 'sdist',
    size: 1000,
    upload_time: seconds!.replace(/Z$/, ''),
    upload_time_iso_8601: time,
    yanked: false,
    ...fields,
  };
}

/** A document of `thing` with these fields, and with these fields of its `info`. */
export function documentWith(info: Record<string, unknown> = {}, fields: Record<string, unknown> = {}): unknown {
  return JSON.parse(
    JSON.stringify({
      info: {
        author: '',
        author_email: '',
        classifiers: [],
        description: 'long text',
        home_page: '',
        keywords: '',
        license: '',
        license_expression: null,
        name: 'Thing',
        project_urls: null,
        requires_dist: null,
        summary: 'Does a thing.',
        version: '1.0',
        ...info,
      },
      last_serial: 100,
      releases: { '1.0': [fileAt(UPLOADED)] },
      urls: [fileAt(UPLOADED)],
      vulnerabilities: [],
      ...fields,
    }),
  );
}

/** The row of a document of `thing`; the table's validator accepts it. */
export function rowOf(document: unknown, known: Known = { downloads: null, status: null }) {
  const row = projectRow(readProject(document, 'thing'), known);
  expect(pypiPackage.validator.parse(row)).toEqual(row);
  return row;
}
