// A switch between tap devices that holds every frame for a while: delay, where the kernel has no netem.
//
//   switch DELAY_US TAP...
//
// Order is kept. At most MOST_BYTES wait; what comes then is dropped, as a real one does. It ends when it is killed.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr size_t MOST_BYTES = 64u << 20;
constexpr long SECOND_NS = 1000000000L;
constexpr size_t MAC_BYTES = 6;

struct Frame {
  long dueNs;
  size_t from;
  std::string bytes;
};

long nowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * SECOND_NS + time.tv_nsec;
}

int openTap(const char* name) {
  int file = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (file < 0 || ioctl(file, TUNSETIFF, &request) < 0) {
    perror(name);
    exit(1);
  }
  return file;
}

class Switch {
 public:
  Switch(long delayNs, std::vector<pollfd> files) : delayNs_(delayNs), files_(std::move(files)) {}

  /// Takes what has come in at a port.
  void take(size_t port) {
    for (;;) {
      ssize_t count = read(files_[port].fd, buffer_, sizeof buffer_);
      if (count < ssize_t(2 * MAC_BYTES)) return;
      portOf_[std::string(buffer_ + MAC_BYTES, MAC_BYTES)] = port;
      if (waiting_ + count > MOST_BYTES) continue;
      waiting_ += count;
      queue_.push_back({nowNs() + delayNs_, port, std::string(buffer_, count)});
    }
  }

  /// Sends what is due; the time of the next frame, or 0.
  long give() {
    while (!queue_.empty() && queue_.front().dueNs <= nowNs()) {
      const Frame& frame = queue_.front();
      auto known = portOf_.find(frame.bytes.substr(0, MAC_BYTES));
      for (size_t port = 0; port < files_.size(); port++) {
        bool isHis = known == portOf_.end() ? port != frame.from : port == known->second;
        if (isHis) (void)!write(files_[port].fd, frame.bytes.data(), frame.bytes.size());
      }
      waiting_ -= frame.bytes.size();
      queue_.pop_front();
    }
    return queue_.empty() ? 0 : queue_.front().dueNs;
  }

 private:
  long delayNs_;
  std::vector<pollfd> files_;
  std::map<std::string, size_t> portOf_;
  std::deque<Frame> queue_;
  size_t waiting_ = 0;
  char buffer_[70000];
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::vector<pollfd> files;
  for (int i = 2; i < argc; i++) files.push_back({openTap(argv[i]), POLLIN, 0});
  Switch ports(atol(argv[1]) * 1000, files);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  std::vector<pollfd> waited = files;
  waited.push_back({timer, POLLIN, 0});
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(waited.data(), waited.size(), -1) < 0) return 1;
    for (size_t port = 0; port < files.size(); port++)
      if (waited[port].revents & POLLIN) ports.take(port);
    char expired[8];
    (void)!read(timer, expired, sizeof expired);
    long next = ports.give();
    itimerspec due{};
    due.it_value = {next / SECOND_NS, next % SECOND_NS};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &due, nullptr);
  }
}
