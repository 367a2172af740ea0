import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.SocketChannel;

/** Client COUNT ADDRESS PORT: connects by java.net and by NIO, and counts the exceptions that say EADDRNOTAVAIL. */
class Client {
  interface Attempt {
    void run(InetSocketAddress to) throws IOException;
  }

  static void socket(InetSocketAddress to) throws IOException {
    try (Socket socket = new Socket()) {
      socket.connect(to);
    }
  }

  static void channel(InetSocketAddress to) throws IOException {
    try (SocketChannel channel = SocketChannel.open()) {
      channel.connect(to);
    }
  }

  public static void main(String[] arguments) throws Exception {
    int count = Integer.parseInt(arguments[0]), failed = 0, others = 0;
    var to = new InetSocketAddress(InetAddress.getByName(arguments[1]), Integer.parseInt(arguments[2]));
    Attempt[] attempts = {Client::socket, Client::channel};
    for (int i = 0; i < count; i++) {
      try {
        attempts[i % attempts.length].run(to);
        others++;
      } catch (IOException e) {
        if (String.valueOf(e.getMessage()).contains("Cannot assign requested address")) failed++;
        else others++;
      }
    }
    System.out.printf("%d %d %d%n", ProcessHandle.current().pid(), failed, others);
  }
}
