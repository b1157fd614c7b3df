// Writes every frame that passes through the network it stands in to standard output, each behind its length (uint32, this machine's order).
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

int main() {
  int packets = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  int room = 64 << 20;
  setsockopt(packets, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (packets < 0) {
    perror("sniff");
    return 1;
  }
  fputs("listening\n", stderr);
  static char frame[1 << 17];
  for (;;) {
    ssize_t count = recv(packets, frame, sizeof frame, 0);
    if (count <= 0) return 1;
    uint32_t length = uint32_t(count);
    if (fwrite(&length, sizeof length, 1, stdout) != 1 || fwrite(frame, 1, count, stdout) != size_t(count)) return 0;
    fflush(stdout);
  }
}
