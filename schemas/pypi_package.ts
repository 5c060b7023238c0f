import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const pypiPackage = defineTable({
  name: 'pypi_package',
  prefix: 'pypi/metadata',
  description: 'Projects of the Python Package Index: one row for each change of a project that the feed shows.',
  version: 1,
  key: ['name'],
  columns: {
    name: required('utf8', 'Normalized project name: lower case, with `-` for every run of `-`, `_` and `.`.'),
    version: optional('utf8', 'The newest release, as the index names it.'),
    description: optional('utf8', "The project's one-line summary."),
    author: optional('utf8', 'Author as one string: name, then `<email>` where given.'),
    license: optional('utf8', 'Licence as one string: the expression where there is one, else the free text.'),
    homepage: optional('utf8', 'URL of the home page.'),
    repository: optional('utf8', 'URL of the source repository.'),
    downloads_total: optional(
      'int64',
      'Downloads since the counting began; null where not known, the index counts none.',
    ),
    downloads_last_month: optional(
      'int64',
      'Downloads in the last month; null where not known, the index counts none.',
    ),
    published_at: optional('utf8', 'When the first file of `version` was uploaded, ISO 8601.'),
    last_updated: optional('utf8', 'When the newest file of any release was uploaded, ISO 8601.'),
    keywords: optional('utf8', 'Keywords, separated by commas.'),
    classifiers: optional('utf8', 'Trove classifiers: a JSON array of strings.'),
    requires_dist: optional('utf8', 'Requirements of `version`: a JSON array of requirement strings.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    created_at: optional('utf8', 'When the first file of the project was uploaded, ISO 8601.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type PypiPackage = RowOf<typeof pypiPackage>;
