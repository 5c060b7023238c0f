import { domainConformance } from '../sources/names/domain-names.ts';

// The two runtimes have two versions of the URL parser, and must read a text as the same domain.
domainConformance('the worker');
