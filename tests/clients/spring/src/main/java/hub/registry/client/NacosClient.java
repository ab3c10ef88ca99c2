package hub.registry.client;

import com.alibaba.nacos.api.naming.NamingFactory;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.util.FileSystemUtils;

/** A client of Nacos by nacos-client alone; see tests/clients/nacos-grpc/README.md. */
public final class NacosClient {

  private NacosClient() {}

  public static void main(String[] arguments) throws Exception {
    // What is logged goes to standard error, so that the answers are alone on standard output.
    PrintStream answers = System.out;
    System.setOut(System.err);
    System.setProperty("nacos.logging.default.config.enabled", "false");
    // Otherwise it keeps what it finds in the user's home.
    Path folder = Files.createTempDirectory("hub-nacos-client");
    System.setProperty("JM.SNAPSHOT.PATH", folder.toString());
    String name = arguments[1];
    Instance self = new Instance();
    self.setIp(arguments[2]);
    self.setPort(Integer.parseInt(arguments[3]));
    self.setMetadata(Map.of("by", "java"));
    NamingService naming = NamingFactory.createNamingService(arguments[0]);
    try {
      naming.registerInstance(name, self);
      ObjectMapper json = new ObjectMapper();
      answers.println(json.writeValueAsString(Map.of("ready", true)));
      Map<String, List<Map<String, Object>>> seen = new ConcurrentHashMap<>();
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(" ");
        String value = words[1];
        Map<String, Object> answer = new HashMap<>();
        switch (words[0]) {
          case "find" -> answer.put("found", listed(naming.selectInstances(value, true)));
          case "watch" -> {
            naming.subscribe(
                value, event -> seen.put(value, listed(((NamingEvent) event).getInstances())));
            answer.put("watching", value);
          }
          case "seen" -> answer.put("seen", seen.get(value));
          case "change" -> {
            self.setMetadata(Map.of("by", "java", "said", value));
            naming.registerInstance(name, self);
            answer.put("changed", true);
          }
          case "status" -> {
            self.setEnabled(value.equals("up"));
            naming.registerInstance(name, self);
            answer.put("status", value);
          }
          default -> answer.put("unknown", words[0]);
        }
        answers.println(json.writeValueAsString(answer));
      }
      naming.deregisterInstance(name, self.getIp(), self.getPort());
    } finally {
      naming.shutDown();
      FileSystemUtils.deleteRecursively(folder);
    }
    // Threads of the library are left that are no daemons.
    System.exit(0);
  }

  private static List<Map<String, Object>> listed(List<Instance> instances) {
    return instances.stream()
        .map(
            one ->
                Map.<String, Object>of(
                    "host", one.getIp(), "port", one.getPort(), "metadata", one.getMetadata()))
        .toList();
  }
}
