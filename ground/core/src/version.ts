/** Of all packages, and of the command. */
export const VERSION = '0.2.0';
