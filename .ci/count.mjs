// Prints `N passed, N failed` from the test runner's JSON report; a run without a report or without tests has failed.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(new URL('report.json', import.meta.url), 'utf8'));
const failedFiles = report.testResults.filter(
  file => file.status === 'failed' && file.assertionResults.length === 0,
).length;
const failed = report.numFailedTests + failedFiles;
console.log(`${report.numPassedTests} passed, ${failed} failed`);
process.exit(failed > 0 || report.numPassedTests === 0 ? 1 : 0);
