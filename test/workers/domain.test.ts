import { domainConformance } from '../sources/names/domain-names.ts';

// Two runtimes, two versions of the same parser of URLs: a domain watched by one must be found by the other.
domainConformance('the worker');
