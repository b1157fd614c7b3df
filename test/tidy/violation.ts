/** One place that breaks one rule. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export const formatViolation = ({ path, line, message }: Violation): string => `${path}:${line} ${message}`;
