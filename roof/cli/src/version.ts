/** Of the command and of its packages. */
export const VERSION = '0.2.0';
