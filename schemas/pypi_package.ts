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
    author: optional('utf8', 'Names of the authors, separated by commas; the address of one who gives no name.'),
    license: optional(
      'utf8',
      'Licence as one string: the expression where there is one, else the free text where it is one line.',
    ),
    homepage: optional(
      'utf8',
      'URL of the home page, by its label among the links of the project, else by its own field.',
    ),
    repository: optional(
      'utf8',
      'URL of the source repository, by its label among the links of the project; the home page where that is a repository.',
    ),
    downloads_total: optional('int64', "Downloads of all days in ClickHouse's public counts; null where not known."),
    downloads_last_month: optional(
      'int64',
      'Downloads in the 30 days that end with the newest day of these counts; null where not known.',
    ),
    published_at: optional('utf8', 'When the first file of `version` was uploaded, ISO 8601.'),
    last_updated: optional('utf8', 'When the newest file of any release was uploaded, ISO 8601.'),
    keywords: optional('utf8', 'Keywords, separated by commas.'),
    classifiers: optional('utf8', 'Trove classifiers: a JSON array of strings.'),
    requires_dist: optional('utf8', 'Requirements of `version`: a JSON array of requirement strings.'),
    data: optional(
      'utf8',
      'The document as JSON, without description and files, with `project-status` where that is known not to be active; says instead what was left out when the row would grow over 1 MiB.',
    ),
    created_at: optional('utf8', 'When the first file of the project was uploaded, ISO 8601.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type PypiPackage = RowOf<typeof pypiPackage>;
