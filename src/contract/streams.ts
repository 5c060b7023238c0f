/** The stream a table is sent to: up to which LSN it has the rows, and how many rows in files it has not. */
export interface StreamStatus {
  binding: string;
  last_lsn: number;
  waiting: number;
}
