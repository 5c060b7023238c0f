import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const organization = defineTable({
  name: 'organization',
  prefix: 'organizations/metadata',
  description: 'Organizations: one row for each look at an organization that found a change.',
  version: 1,
  key: ['id'],
  columns: {
    id: required('utf8', "The organization's identifier in its source."),
    name: required('utf8', 'The name the organization goes by.'),
    legal_name: optional('utf8', 'The registered name.'),
    domain: optional('utf8', 'The main domain, in lower case.'),
    type: optional('utf8', 'Kind of organization, in the words of the source.'),
    industry: optional('utf8', 'Industry, in the words of the source.'),
    employee_count: optional('int32', 'Number of people.'),
    revenue: optional('int64', 'Revenue of a year, in the currency of the source.'),
    founded_year: optional('int32', 'Year of the founding.'),
    country: optional('utf8', 'Country of the seat.'),
    state: optional('utf8', 'State or region of the seat.'),
    city: optional('utf8', 'City of the seat.'),
    address: optional('utf8', 'Postal address of the seat.'),
    lat: optional('float', 'Latitude of the seat in degrees, north positive.'),
    lng: optional('float', 'Longitude of the seat in degrees, east positive.'),
    website: optional('utf8', 'URL of the web site.'),
    linkedin_url: optional('utf8', 'URL of the LinkedIn page.'),
    twitter_handle: optional('utf8', 'Twitter user name, without `@`.'),
    github_org: optional('utf8', 'Login name of the GitHub organization.'),
    org_chart: optional('utf8', 'Who reports to whom, as JSON.'),
    people: optional('utf8', 'People of the organization: a JSON array.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    created_at: optional('utf8', 'When the organization was first recorded upstream, ISO 8601.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type Organization = RowOf<typeof organization>;
